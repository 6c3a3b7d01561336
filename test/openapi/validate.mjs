// SPDX-License-Identifier: Apache-2.0
// validate.mjs - is the reference of the API valid, and do real answers keep to it?
//
// usage: node validate.mjs OPENAPI.json [EXCHANGES.jsonl]
// Each line of the second file is one request with its answer. Prints a line for each fault and ends
// with 1 when there is one. Answers are judged more strictly than the document asks of clients: a
// member that it does not name is a fault, and so is one that it names and no answer has.
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const METHODS = ["get", "post", "patch", "delete", "put"];
const TOLD_HEADERS = ["etag", "location", "idempotency-replayed", "retry-after"];
const COMPONENT = "#/components/schemas/";

let faults = 0;
function fault(text) {
  faults += 1;
  console.log(text);
}

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const exchanges = process.argv[3]
  ? readFileSync(process.argv[3], "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line))
  : [];

// ---- the document ------------------------------------------------------------------------------

const result = await new Validator().validate(structuredClone(document));
if (!result.valid) fault(`the document is not valid: ${JSON.stringify(result.errors, null, 1)}`);

const operations = [];
for (const [path, item] of Object.entries(document.paths))
  for (const method of METHODS) if (item[method]) operations.push({ path, method, ...item[method] });

const names = operations.map((operation) => operation.operationId);
for (const name of names)
  if (names.indexOf(name) !== names.lastIndexOf(name)) fault(`the operation ${name} is there twice`);

function resolve(thing) {
  if (!thing?.$ref) return thing;
  const found = thing.$ref.slice(2).split("/").reduce((at, key) => at?.[key], document);
  if (!found) fault(`${thing.$ref} leads nowhere`);
  return found ?? {};
}

const tags = document.tags.map((tag) => tag.name);
for (const { path, method, ...operation } of operations) {
  const at = `${method} ${path}`;
  const parameters = operation.parameters.map(resolve);
  const inPath = parameters.filter((parameter) => parameter.in === "path").map((parameter) => parameter.name);
  const wanted = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  if (inPath.join() !== wanted.join()) fault(`${at}: the parameters in the path are ${wanted}, not ${inPath}`);
  if (new Set(parameters.map((p) => `${p.in} ${p.name}`)).size !== parameters.length)
    fault(`${at}: a parameter is there twice`);
  if (!operation.tags.every((tag) => tags.includes(tag))) fault(`${at}: an unknown tag`);
  if (!operation.summary) fault(`${at}: no summary`);
}

// ---- schemas -----------------------------------------------------------------------------------

// References to components become names that ajv knows. Answers are made strict.
function renamed(value, prefix) {
  if (Array.isArray(value)) return value.map((item) => renamed(item, prefix));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) =>
      key === "$ref" && typeof item === "string" ? [key, item.replace(COMPONENT, prefix)] : [key, renamed(item, prefix)],
    ),
  );
}

const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, strictTypes: false, strictRequired: false });
addFormats.default ? addFormats.default(ajv) : addFormats(ajv);
for (const [name, schema] of Object.entries(document.components.schemas)) {
  ajv.addSchema(renamed(schema, "open-"), `open-${name}`);
  ajv.addSchema({ additionalProperties: false, ...renamed(schema, "strict-") }, `strict-${name}`);
}

const compiled = new Map();
function check(schema, value, mode, where) {
  const key = mode + JSON.stringify(schema);
  if (!compiled.has(key)) compiled.set(key, ajv.compile(renamed(schema, mode)));
  const validate = compiled.get(key);
  if (!validate(value))
    fault(`${where}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(value).slice(0, 700)}`);
}

function eachSchema(value, visit, where) {
  if (value === null || typeof value !== "object") return;
  if (!Array.isArray(value) && (value.examples || "default" in value) && (value.type || value.anyOf || value.allOf))
    visit(value, where);
  for (const [key, item] of Object.entries(value))
    if (key !== "examples" && key !== "example" && key !== "default") eachSchema(item, visit, `${where}/${key}`);
}

eachSchema(document, (schema, where) => {
  for (const example of schema.examples ?? []) check(schema, example, "open-", `${where}: its example`);
  if ("default" in schema) check(schema, schema.default, "open-", `${where}: its default`);
}, "");
for (const operation of operations) {
  const body = operation.requestBody?.content?.["application/json"];
  if (body) check(body.schema, body.example, "open-", `${operation.operationId}: the example of its body`);
}

// ---- answers -----------------------------------------------------------------------------------

const seen = new Set(); // "operation status", and "schema.member"

// Notes which members of components a sound value has.
function note(schema, value, name) {
  if (schema.$ref) return note(resolve(schema), value, schema.$ref.replace(COMPONENT, ""));
  for (const choice of [...(schema.anyOf ?? []), ...(schema.allOf ?? [])]) note(choice, value, name);
  if (Array.isArray(value)) {
    if (schema.items) for (const item of value) note(schema.items, item, name);
  } else if (value !== null && typeof value === "object" && schema.properties) {
    for (const [key, item] of Object.entries(value)) {
      if (!schema.properties[key]) continue;
      if (item !== null) seen.add(`${name}.${key}`);
      note(schema.properties[key], item, name);
    }
  }
}

function judge(schema, value, where) {
  check(schema, value, "strict-", where);
  note(schema, value, "");
}

function find(method, path) {
  const parts = path.replace(/(.)\/$/, "$1").split("/");
  return operations.find((operation) => {
    const wanted = operation.path.split("/");
    return operation.method === method && wanted.length === parts.length &&
      wanted.every((part, i) => (part.startsWith("{") ? parts[i] !== "" : part === parts[i]));
  });
}

function entries(text) {
  return text.split("\n\n").map((block) => block.split("\n").filter((line) => line && !line.startsWith(":")))
    .filter((lines) => lines.length > 0)
    .map((lines) => Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)])));
}

function judgeStream(entry, text, where) {
  for (const event of entries(text)) {
    const data = JSON.parse(event.data);
    judge(entry, data, where);
    if (String(data.index) !== event.id || data.type !== event.event) fault(`${where}: id or event is not that of its data`);
  }
}

function judgeHeaders(answer, headers, where) {
  for (const name of TOLD_HEADERS) {
    const told = Object.keys(answer.headers ?? {}).find((key) => key.toLowerCase() === name);
    if (name in headers && !told) fault(`${where}: the header ${name} is not described`);
    if (!told || !(name in headers)) continue;
    const { schema } = resolve(answer.headers[told]);
    const value = schema.type === "integer" || schema.type === "boolean" ? JSON.parse(headers[name]) : headers[name];
    check(schema, value, "open-", `${where}: ${name}`);
    seen.add(`header ${name}`);
  }
}

for (const { method, target, sent, status, headers, body } of exchanges) {
  const where = `${method} ${target} ${status}`;
  const operation = find(method === "HEAD" ? "get" : method.toLowerCase(), target.split("?")[0]);
  const answer = operation?.responses[status];
  if (!operation) {
    if (status !== 404 && status !== 405 && status !== 400) fault(`${where}: there is no such operation`);
    else judge({ $ref: `${COMPONENT}problem` }, JSON.parse(body), where);
    continue;
  }
  if (!answer) {
    fault(`${where}: this status is not described: ${body.slice(0, 300)}`);
    continue;
  }
  if (method !== "HEAD") seen.add(`${operation.operationId} ${status}`);
  judgeHeaders(answer, headers, where);
  if (method === "HEAD" || status === 204 || status === 304) {
    if (body !== "") fault(`${where}: it has a body`);
    continue;
  }
  const content = answer.content?.[headers["content-type"]];
  if (!content) fault(`${where}: the content type ${headers["content-type"]} is not described`);
  else if (content["x-entry"]) judgeStream(content["x-entry"], body, where);
  else if (headers["content-type"].endsWith("json")) judge(content.schema, JSON.parse(body), where);
  const request = operation.requestBody?.content["application/json"].schema;
  if (status < 300 && request && sent) check(request, JSON.parse(sent), "open-", `${where}: the body that was taken`);
}

// ---- whether everything that is described has been seen ------------------------------------------

// Names of components below a value.
function collect(value, names) {
  if (value === null || typeof value !== "object") return names;
  const name = typeof value.$ref === "string" && value.$ref.startsWith(COMPONENT) ? value.$ref.replace(COMPONENT, "") : null;
  if (name && !names.has(name)) {
    names.add(name);
    collect(document.components.schemas[name], names);
  }
  for (const item of Object.values(value)) collect(item, names);
  return names;
}

if (exchanges.length > 0) {
  // What requests are made of too is read and written by one table: it cannot be described wrongly.
  const taken = collect(operations.map((operation) => operation.requestBody ?? {}), new Set());
  const described = TOLD_HEADERS.map((name) => `header ${name}`);
  for (const operation of operations)
    for (const status of Object.keys(operation.responses))
      if (status < 400) described.push(`${operation.operationId} ${status}`);
  for (const name of collect(operations.map((operation) => operation.responses), new Set()))
    if (!taken.has(name))
      for (const member of Object.keys(document.components.schemas[name].properties)) described.push(`${name}.${member}`);
  const unseen = process.env.UNSEEN ? process.env.UNSEEN.split(",") : [];
  for (const one of described)
    if (seen.has(one) === unseen.includes(one))
      fault(unseen.includes(one) ? `${one}: seen, although it is said not to be` : `${one}: described, and no answer had it`);
}

console.log(`${operations.length} operations, ${exchanges.length} exchanges, ${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
