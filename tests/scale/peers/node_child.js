// A server of node-opcua to be measured: objects of 20 Doubles with EURange and EngineeringUnits, spoken to in lines of
// JSON like every child of tests.scale.measure.Child.
"use strict";
console.log = console.info = console.warn = () => {}; // stdout carries answers only
const fs = require("fs");
const os = require("os");
const path = require("path");
const readline = require("readline");
const { OPCUAServer } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { coerceLocalizedText } = require("node-opcua-data-model");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { StatusCodes } = require("node-opcua-status-code");
const { DataType } = require("node-opcua-variant");

const NUMBERED = 100; // variables that have numeric ids
const given = JSON.parse(process.argv[2]);
const pki = fs.mkdtempSync(path.join(os.tmpdir(), "joulehub-peer-"));
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
const variables = [];
let updated = 0;
let value = 1;
let timer = null;

const update = (units) => {
  const now = new Date();
  for (const variable of variables.slice(0, units * given.names.length)) {
    value += 1;
    updated += 1;
    variable.setValueFromSource({ dataType: DataType.Double, value }, StatusCodes.Good, now);
  }
};

const build = (space) => {
  const namespace = space.registerNamespace("urn:bench");
  const spot = (id) => `s=${id}`;
  const folder = namespace.addFolder(space.rootFolder.objects, { browseName: "Folder", nodeId: spot("folder") });
  const double = (parent, nodeId, browseName) =>
    namespace.addVariable({
      componentOf: parent,
      nodeId,
      browseName,
      dataType: DataType.Double,
      value: { dataType: DataType.Double, value: 0.5 },
    });
  for (let number = 0; number < given.objects; number += 1) {
    const id = `m${String(number).padStart(7, "0")}`;
    const owner = namespace.addObject({ componentOf: folder, nodeId: spot(id), browseName: id });
    for (const name of given.names) {
      const variable = double(owner, spot(`${id}.${name}`), name);
      const property = (browseName, dataType, held) =>
        namespace.addVariable({
          propertyOf: variable,
          nodeId: spot(`${id}.${name}.${browseName}`),
          browseName: { name: browseName, namespaceIndex: 0 },
          typeDefinition: "PropertyType",
          dataType,
          value: { dataType: DataType.ExtensionObject, value: space.constructExtensionObject(space.findDataType(dataType), held) },
        });
      property("EURange", "Range", { low: 0, high: 1e6 });
      property("EngineeringUnits", "EUInformation", {
        namespaceUri: "urn:u",
        unitId: 1,
        displayName: coerceLocalizedText("V"),
        description: coerceLocalizedText("V"),
      });
      variables.push(variable);
    }
  }
  if (given.names.length) {
    const numbered = namespace.addFolder(space.rootFolder.objects, { browseName: "Numbered" });
    for (let number = 1; number <= NUMBERED; number += 1) double(numbered, `i=${1_000_000 + number}`, `N${number}`);
  }
};

const commands = {
  pace({ every_s: every, units }) {
    clearInterval(timer);
    timer = every ? setInterval(update, every * 1000, units) : null;
    return {};
  },
  counters: () => ({ updated }),
};

const main = async () => {
  const manager = (name) =>
    new OPCUACertificateManager({ rootFolder: path.join(pki, name), automaticallyAcceptUnknownCertificate: true });
  const server = new OPCUAServer({
    port: given.port,
    hostname: "127.0.0.1",
    host: "127.0.0.1",
    serverCertificateManager: manager("server"),
    userCertificateManager: manager("user"),
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.SignAndEncrypt],
    serverCapabilities: {
      maxSessions: 100,
      maxMonitoredItems: 1_000_000,
      maxMonitoredItemsPerSubscription: 1_000_000,
      operationLimits: { maxNodesPerRead: 10_000, maxNodesPerBrowse: 10_000, maxMonitoredItemsPerCall: 10_000 },
    },
  });
  await server.initialize();
  const began = process.hrtime.bigint();
  build(server.engine.addressSpace);
  const built = Number(process.hrtime.bigint() - began) / 1e9;
  await server.start();
  say({ url: `opc.tcp://127.0.0.1:${given.port}`, built_s: built });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    say(commands[asked.do](asked));
  }
  clearInterval(timer);
  await server.shutdown(0);
  fs.rmSync(pki, { recursive: true, force: true });
  process.exit(0);
};

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
