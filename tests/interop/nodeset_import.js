// Loads node set files into node-opcua's own address space and tells, as one JSON document, what it found there.
//
//   node nodeset_import.js FILE...   the standard's node set comes first by itself

"use strict";

const TYPES = "urn:joulehub:types";
const PLANT = "urn:joulehub:plant";
const CLASSES = { 1: "Object", 2: "Variable", 4: "Method", 8: "ObjectType", 16: "VariableType", 32: "ReferenceType", 64: "DataType" };

function text(localized) {
  return localized && localized.text ? localized.text : "";
}

function shown(node) {
  const found = {
    id: String(node.nodeId.value),
    kind: CLASSES[node.nodeClass],
    name: node.browseName.name,
    display: text(node.displayName[0] || node.displayName),
    about: text(node.description),
  };
  const definition = node.typeDefinitionObj;
  if (definition) found.type = definition.browseName.name;
  if (node.modellingRule) found.rule = node.modellingRule;
  if (node.subtypeOfObj) found.base = node.subtypeOfObj.browseName.name;
  if (node.isAbstract !== undefined) found.abstract = node.isAbstract;
  if (node.inverseName) found.inverse = text(node.inverseName);
  return found;
}

function enumeration(type) {
  const definition = type.getEnumDefinition();
  const strings = type.getChildByName("EnumStrings").readValue().value.value;
  return {
    fields: definition.fields.map((field) => [field.name, Number(field.value[1])]),
    shown: definition.fields.map((field) => text(field.displayName)),
    strings: strings.map(text),
  };
}

function method(node) {
  const told = (list) => (list || []).map((one) => [one.name, text(one.description)]);
  return { inputs: told(node.getInputArguments()), outputs: told(node.getOutputArguments()) };
}

function crawl(root, nodesOfPlant) {
  const seen = new Set();
  const stack = [root];
  while (stack.length) {
    const node = stack.pop();
    const key = node.nodeId.toString();
    if (seen.has(key)) continue;
    seen.add(key);
    for (const reference of node.findReferencesEx("HierarchicalReferences")) {
      if (reference.nodeId.namespace === root.nodeId.namespace) stack.push(reference.node);
    }
  }
  return nodesOfPlant.filter((node) => !seen.has(node.nodeId.toString())).map((node) => node.nodeId.toString());
}

function value(variable) {
  const given = variable.readValue().value.value;
  if (given === null || given === undefined) return null;
  if (given.low !== undefined) return [given.low, given.high];
  if (given.unitId !== undefined) return [given.unitId, text(given.displayName)];
  return given.text !== undefined ? given.text : given;
}

async function main(files) {
  const { AddressSpace } = await import("node-opcua-address-space");
  const { generateAddressSpace } = await import("node-opcua-address-space/nodeJS.js");
  const { nodesets } = await import("node-opcua-nodesets");
  const space = AddressSpace.create();
  await generateAddressSpace(space, [nodesets.standard, ...files]);
  const answer = { models: {}, types: [], enumerations: {}, methods: {} };
  for (const namespace of space.getNamespaceArray()) answer.models[namespace.namespaceUri] = namespace.version;
  const types = [...space.getNamespace(space.getNamespaceIndex(TYPES)).nodeIterator()];
  for (const node of types) {
    answer.types.push(shown(node));
    if (CLASSES[node.nodeClass] === "DataType") answer.enumerations[node.browseName.name] = enumeration(node);
    if (CLASSES[node.nodeClass] === "Method") answer.methods[String(node.nodeId.value)] = method(node);
  }
  const index = space.getNamespaceIndex(PLANT);
  if (index > 0) {
    const nodes = [...space.getNamespace(index).nodeIterator()];
    const root = space.findNode(`ns=${index};s=root`);
    answer.plant = {
      ids: nodes.map((node) => String(node.nodeId.value)),
      unreached: crawl(root, nodes),
      untyped: nodes.filter((node) => node.nodeClass < 3 && !node.typeDefinitionObj).map((node) => node.nodeId.toString()),
      values: {},
    };
    for (const node of nodes) {
      const last = node.browseName.name;
      if (last === "EURange" || last === "EngineeringUnits" || last === "SerialNumber") {
        answer.plant.values[String(node.nodeId.value)] = value(node);
      }
    }
  } else {
    const owner = space.getOwnNamespace();
    const meter = space.findObjectType("ElectricityMeterType", space.getNamespaceIndex(TYPES));
    const made = meter.instantiate({ browseName: "Made", organizedBy: space.rootFolder.objects, namespace: owner });
    answer.made = made.getAggregates().map((child) => child.browseName.name);
  }
  process.stdout.write(JSON.stringify(answer));
  space.dispose();
}

main(process.argv.slice(2)).catch((failed) => {
  process.stderr.write(`${failed.stack || failed}\n`);
  process.exit(1);
});
