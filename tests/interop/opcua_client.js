// A foreign OPC UA client for the tests: one command per line on stdin (JSON), one answer per line on stdout.
"use strict";
console.log = console.error; // stdout carries answers only
const fs = require("fs");
const os = require("os");
const path = require("path");
const readline = require("readline");
const opcua = require("node-opcua-client");
const types = require("node-opcua-types");
const { AggregateFunction } = require("node-opcua-constants");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");

const { AttributeIds, BrowseDirection, NodeClassMask, TimestampsToReturn, UserTokenType } = opcua;
const pki = fs.mkdtempSync(path.join(os.tmpdir(), "joulehub-client-"));
let certificates = null;
let client = null;
let session = null;
const subscriptions = new Map();
let nextSubscription = 1;
const pending = new Map(); // requests sent and not yet asked for
let nextPending = 1;
const happenings = []; // what the library says of its connection

const plain = (value) => {
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (value.buffer && value.length !== undefined && typeof value !== "string") return Array.from(value);
  if (typeof value.toJSON === "function") return value.toJSON();
  return value;
};

const dataValue = (dv) => ({
  value: dv.value ? plain(dv.value.value) : null,
  dataType: dv.value ? opcua.DataType[dv.value.dataType] : null,
  status: dv.statusCode.value,
  statusName: dv.statusCode.name,
  source: dv.sourceTimestamp ? dv.sourceTimestamp.getTime() : null,
  server: dv.serverTimestamp ? dv.serverTimestamp.getTime() : null,
});

// Any response structure as JSON: status codes by name, node ids as text, bytes in base64, times in milliseconds.
const written = (value) => {
  if (value === null || value === undefined || typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Date) return value.getTime();
  if (Buffer.isBuffer(value)) return value.toString("base64");
  if (value instanceof opcua.StatusCode) return value.name;
  if (value instanceof opcua.NodeId) return value.toString();
  if (value instanceof opcua.DataValue) return dataValue(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, written);
  const fields = Object.keys(value).filter((name) => !name.startsWith("_") && name !== "schema");
  return Object.fromEntries(fields.map((name) => [name, written(value[name])]));
};

// The other way for what JSON cannot say: {"$bytes": base64}, {"$time": ms}, {"$type": "DataChangeFilter", ...}.
const meant = (value) => {
  if (Array.isArray(value)) return value.map(meant);
  if (value === null || typeof value !== "object") return value;
  if ("$bytes" in value) return Buffer.from(value.$bytes, "base64");
  if ("$time" in value) return new Date(value.$time);
  const { $type, ...rest } = value;
  const fields = Object.fromEntries(Object.entries(rest).map(([name, inner]) => [name, meant(inner)]));
  return $type ? new (types[$type] || opcua[$type])(fields) : fields;
};

// One service call as it is, without anything the library would do on its own.
async function transact(service, body, timeoutMs) {
  const request = new types[`${service}Request`](meant(body || {}));
  if (timeoutMs) request.requestHeader.timeoutHint = timeoutMs;
  try {
    return written(await session.performMessageTransaction(request));
  } catch (error) {
    if (error.response) return { fault: error.response.responseHeader.serviceResult.name };
    throw error;
  }
}

const described = (r) => ({
  nodeId: r.nodeId.toString(),
  browseName: `${r.browseName.namespaceIndex}:${r.browseName.name}`,
  displayName: r.displayName.text,
  nodeClass: r.nodeClass,
  type: r.typeDefinition ? r.typeDefinition.toString() : null,
  reference: r.referenceTypeId.toString(),
  forward: r.isForward,
});

async function browse(nodeIds, maxReferences, direction, reference) {
  const request = nodeIds.map((nodeId) => ({
    nodeId,
    referenceTypeId: reference || "i=33", // HierarchicalReferences
    includeSubtypes: true,
    browseDirection: direction === "inverse" ? BrowseDirection.Inverse : BrowseDirection.Forward,
    nodeClassMask: 0,
    resultMask: 63,
  }));
  session.requestedMaxReferencesPerNode = maxReferences;
  let pages = 0;
  const results = await session.browse(request);
  const answers = [];
  for (const result of results) {
    const references = [...(result.references || [])];
    let point = result.continuationPoint;
    let status = result.statusCode;
    while (point && point.length) {
      pages += 1;
      const next = await session.browseNext([point], false);
      status = next[0].statusCode;
      references.push(...(next[0].references || []));
      point = next[0].continuationPoint;
    }
    answers.push({ status: status.name, references: references.map(described) });
  }
  return { answers, pages };
}

const commands = {
  async connect({ url, securityMode, securityPolicy, user, password, locales, applicationName }) {
    if (!certificates) {
      certificates = new OPCUACertificateManager({ rootFolder: pki, automaticallyAcceptUnknownCertificate: true });
      await certificates.initialize();
    }
    client = opcua.OPCUAClient.create({
      applicationName: applicationName || "NodeOPCUA-Client",
      clientCertificateManager: certificates,
      endpointMustExist: false,
      securityMode: opcua.MessageSecurityMode[securityMode || "None"],
      securityPolicy: opcua.SecurityPolicy[securityPolicy || "None"],
      connectionStrategy: { maxRetry: 10, initialDelay: 100, maxDelay: 500 },
      requestedSessionTimeout: 60000,
      keepSessionAlive: true,
    });
    for (const event of ["connection_lost", "after_reconnection", "connection_reestablished"]) {
      client.on(event, () => happenings.push(event));
    }
    await client.connect(url);
    session = await client.createSession(
      user ? { type: UserTokenType.UserName, userName: user, password } : { type: UserTokenType.Anonymous },
    );
    session.on("session_restored", () => happenings.push("session_restored"));
    return {
      endpoints: (await client.getEndpoints()).map((e) => ({
        url: e.endpointUrl,
        mode: opcua.MessageSecurityMode[e.securityMode],
        policy: e.securityPolicyUri,
        hasCertificate: Boolean(e.serverCertificate && e.serverCertificate.length),
      })),
      namespaces: await session.readNamespaceArray(),
    };
  },
  async disconnect() {
    for (const s of subscriptions.values()) await s.subscription.terminate().catch(() => {});
    subscriptions.clear();
    if (session) await session.close().catch(() => {});
    if (client) await client.disconnect().catch(() => {});
    session = null;
    client = null;
    return {};
  },
  async browse({ nodeIds, maxReferences, direction, reference }) {
    return browse(nodeIds, maxReferences || 0, direction, reference);
  },
  // Walks everything below `start`; answers each node once, with its parent.
  async crawl({ start, maxReferences, limit, reference }) {
    const seen = new Map([[start, null]]);
    let frontier = [start];
    let pages = 0;
    const bad = [];
    while (frontier.length && seen.size < (limit || Infinity)) {
      const next = [];
      for (let i = 0; i < frontier.length; i += 100) {
        const chunk = frontier.slice(i, i + 100);
        const { answers, pages: more } = await browse(chunk, maxReferences || 0, undefined, reference);
        pages += more;
        answers.forEach((answer, k) => {
          if (answer.status !== "Good") bad.push([chunk[k], answer.status]);
          for (const r of answer.references) {
            if (!seen.has(r.nodeId)) {
              seen.set(r.nodeId, { parent: chunk[k], ...r });
              next.push(r.nodeId);
            }
          }
        });
      }
      frontier = next;
    }
    return { nodes: [...seen.entries()].map(([nodeId, r]) => ({ ...(r || {}), nodeId })), pages, bad };
  },
  async read({ nodeIds, attribute, timestamps, maxAge }) {
    const attributeId = AttributeIds[attribute || "Value"];
    const answers = [];
    for (let i = 0; i < nodeIds.length; i += 1000) {
      const nodesToRead = nodeIds.slice(i, i + 1000).map((nodeId) => ({ nodeId, attributeId }));
      const request = new opcua.ReadRequest({
        maxAge: maxAge || 0,
        timestampsToReturn: TimestampsToReturn[timestamps || "Both"],
        nodesToRead,
      });
      const response = await session.performMessageTransaction(request);
      answers.push(...response.results.map(dataValue));
    }
    return { answers };
  },
  async translate({ start, path }) {
    const result = await session.translateBrowsePath(opcua.makeBrowsePath(start, path));
    return { status: result.statusCode.name, targets: (result.targets || []).map((t) => t.targetId.toString()) };
  },
  async subscribe({ nodeIds, publishingInterval, samplingInterval, queueSize, filter }) {
    const subscription = await session.createSubscription2({
      requestedPublishingInterval: publishingInterval || 250,
      requestedLifetimeCount: 1000,
      requestedMaxKeepAliveCount: 20,
      maxNotificationsPerPublish: 0,
      publishingEnabled: true,
      priority: 1,
    });
    const notes = [];
    const group = opcua.ClientMonitoredItemGroup.create(
      subscription,
      nodeIds.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value })),
      {
        samplingInterval: samplingInterval === undefined ? 0 : samplingInterval,
        queueSize: queueSize || 1,
        discardOldest: true,
        filter: filter ? new opcua.DataChangeFilter(filter) : undefined,
      },
      TimestampsToReturn.Both,
    );
    group.on("changed", (item, dv, index) => notes.push({ index, at: Date.now(), ...dataValue(dv) }));
    await new Promise((resolve, reject) => {
      group.on("initialized", resolve);
      group.on("err", (message) => reject(new Error(message)));
    });
    const id = nextSubscription++;
    subscriptions.set(id, { subscription, group, notes });
    return {
      id,
      publishingInterval: subscription.publishingInterval,
      items: group.monitoredItems.map((m) => ({
        status: m.statusCode.name,
        samplingInterval: m.result ? m.result.revisedSamplingInterval : null,
      })),
    };
  },
  async notes({ id, atLeast, timeoutMs }) {
    const entry = subscriptions.get(id);
    const deadline = Date.now() + (timeoutMs || 5000);
    while (entry.notes.length < (atLeast || 0) && Date.now() < deadline) await new Promise((r) => setTimeout(r, 20));
    return { notes: entry.notes.splice(0) };
  },
  async service({ service, body, timeoutMs }) {
    return transact(service, body, timeoutMs);
  },
  // Sends and does not wait; `answer` fetches the response, or null where it has not come within timeoutMs.
  async send({ service, body, timeoutMs }) {
    const id = nextPending++;
    const entry = { done: false, answer: null };
    pending.set(id, entry);
    transact(service, body, timeoutMs)
      .catch((error) => ({ lost: String(error.message) }))
      .then((answer) => Object.assign(entry, { done: true, answer }));
    return { id };
  },
  async answer({ id, timeoutMs }) {
    const entry = pending.get(id);
    const deadline = Date.now() + (timeoutMs || 5000);
    while (!entry.done && Date.now() < deadline) await new Promise((r) => setTimeout(r, 10));
    if (entry.done) pending.delete(id);
    return { answer: entry.answer };
  },
  // Endpoints as discovery shows them to a client that came by `url`.
  async endpoints({ url }) {
    const finder = opcua.OPCUAClient.create({ endpointMustExist: false, connectionStrategy: { maxRetry: 1 } });
    await finder.connect(url);
    try {
      const endpoints = await finder.getEndpoints({ endpointUrl: url });
      const servers = await finder.findServers({ endpointUrl: url });
      return {
        endpoints: endpoints.map((e) => ({
          url: e.endpointUrl,
          mode: opcua.MessageSecurityMode[e.securityMode],
          policy: e.securityPolicyUri.split("#")[1],
          level: e.securityLevel,
          applicationUri: e.server.applicationUri,
          discoveryUrls: e.server.discoveryUrls,
          certificate: e.serverCertificate ? e.serverCertificate.toString("base64") : "",
          tokens: e.userIdentityTokens.map((t) => UserTokenType[t.tokenType]),
        })),
        servers: servers.map((s) => ({ applicationUri: s.applicationUri, discoveryUrls: s.discoveryUrls })),
      };
    } finally {
      await finder.disconnect();
    }
  },
  // Events of a node, by node-opcua's own filters; `types` makes a where clause of OfType.
  async listen({ nodeId, fields, types: wanted }) {
    const where = wanted ? opcua.ofType(opcua.resolveNodeId(wanted)) : undefined;
    const subscription = await session.createSubscription2({
      requestedPublishingInterval: 100,
      requestedMaxKeepAliveCount: 10,
      requestedLifetimeCount: 100,
      publishingEnabled: true,
      maxNotificationsPerPublish: 0,
    });
    const item = await subscription.monitor(
      { nodeId, attributeId: AttributeIds.EventNotifier },
      { samplingInterval: 0, queueSize: 100, discardOldest: true, filter: opcua.constructEventFilter(fields, where) },
      TimestampsToReturn.Both,
    );
    const id = nextSubscription++;
    const entry = { subscription, notes: [] };
    item.on("changed", (values) => entry.notes.push(values.map((value) => plain(value.value))));
    subscriptions.set(id, entry);
    return { id, status: item.statusCode.name };
  },
  async call({ objectId, methodId, inputs }) {
    const inputArguments = (inputs || []).map(([dataType, value]) => ({ dataType: opcua.DataType[dataType], value }));
    const result = await session.call({ objectId, methodId, inputArguments });
    return {
      status: result.statusCode.name,
      arguments: (result.inputArgumentResults || []).map((code) => code.name),
      outputs: (result.outputArguments || []).map((one) => [opcua.DataType[one.dataType], plain(one.value)]),
    };
  },
  // What happened to the connection since the last question.
  async events() {
    return { events: happenings.splice(0) };
  },
  async unsubscribe({ id }) {
    await subscriptions.get(id).subscription.terminate();
    subscriptions.delete(id);
    return {};
  },
  // Aggregates of several nodes, one each, as the library itself asks for them.
  async aggregates({ nodes, start, end, interval }) {
    const functions = nodes.map(([, name]) => AggregateFunction[name]);
    const asked = nodes.map(([nodeId]) => ({ nodeId }));
    const results = await session.readAggregateValue(asked, new Date(start), new Date(end), functions, interval);
    return {
      results: results.map((result) => ({
        status: result.statusCode.name,
        values: result.historyData && result.historyData.dataValues ? result.historyData.dataValues.map(dataValue) : [],
      })),
    };
  },
  // Events that were kept, with the fields asked for.
  async eventHistory({ nodeId, start, end, fields }) {
    const request = new opcua.HistoryReadRequest({
      historyReadDetails: new types.ReadEventDetails({
        numValuesPerNode: 0,
        startTime: new Date(start),
        endTime: new Date(end),
        filter: opcua.constructEventFilter(fields),
      }),
      timestampsToReturn: TimestampsToReturn.Both,
      releaseContinuationPoints: false,
      nodesToRead: [{ nodeId }],
    });
    const [result] = (await session.performMessageTransaction(request)).results;
    const events = result.historyData && result.historyData.events ? result.historyData.events : [];
    return {
      status: result.statusCode.name,
      events: events.map((one) => Object.fromEntries(fields.map((name, at) => [name, plain(one.eventFields[at].value)]))),
    };
  },
  // Raw history with paging: the same details with each continuation point until there is none.
  async history({ nodeId, start, end, num, bounds, timestamps, release, maxPages }) {
    const details = new opcua.ReadRawModifiedDetails({
      isReadModified: false,
      startTime: start ? new Date(start) : opcua.minOPCUADate,
      endTime: end ? new Date(end) : opcua.minOPCUADate,
      numValuesPerNode: num || 0,
      returnBounds: Boolean(bounds),
    });
    const pages = [];
    let continuationPoint = null;
    let status = "Good";
    do {
      const request = new opcua.HistoryReadRequest({
        historyReadDetails: details,
        timestampsToReturn: TimestampsToReturn[timestamps || "Both"],
        releaseContinuationPoints: false,
        nodesToRead: [{ nodeId, indexRange: undefined, continuationPoint }],
      });
      const response = await session.performMessageTransaction(request);
      const result = response.results[0];
      status = result.statusCode.name;
      const values = result.historyData && result.historyData.dataValues ? result.historyData.dataValues : [];
      pages.push(values.map(dataValue));
      continuationPoint = result.continuationPoint && result.continuationPoint.length ? result.continuationPoint : null;
    } while (continuationPoint && pages.length < (maxPages || 1000));
    if (continuationPoint && release) {
      const request = new opcua.HistoryReadRequest({
        historyReadDetails: details,
        timestampsToReturn: TimestampsToReturn.Both,
        releaseContinuationPoints: true,
        nodesToRead: [{ nodeId, continuationPoint }],
      });
      await session.performMessageTransaction(request);
    }
    return { status, pages, open: Boolean(continuationPoint) };
  },
};

const lines = readline.createInterface({ input: process.stdin });
let queue = Promise.resolve();
lines.on("line", (line) => {
  queue = queue.then(async () => {
    const { command, ...args } = JSON.parse(line);
    let answer;
    try {
      answer = { ok: await commands[command](args) };
    } catch (error) {
      answer = { error: String(error && error.message ? error.message : error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  });
});
lines.on("close", () =>
  queue
    .then(() => commands.disconnect())
    .then(() => certificates && certificates.dispose())
    .finally(() => {
      fs.rmSync(pki, { recursive: true, force: true });
      process.exit(0);
    }),
);
