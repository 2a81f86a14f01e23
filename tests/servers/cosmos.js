// The peer of Azure Cosmos DB over HTTPS on a loopback port of its own choice, with what it lacks, and with faults that
// a test asks for. Arguments: an address, the files of its certificate and key. cosmos.py beside this file starts it.
"use strict";
const fs = require("fs");
const https = require("https");

const [address, cert, key] = process.argv.slice(2);
const LARGEST = 2 * 1024 * 1024; // bytes of an item; the peer takes any
const DOCUMENTS = /\/docs(\/|$)/;

// Where there is no item the peer fails inside; the service says 404.
const reading = require("@vercel/cosmosdb-server/lib/handler/read-document");
const read = reading.default;
reading.default = (account, req, res, names) => {
  try {
    return read(account, req, res, names);
  } catch (error) {
    res.statusCode = 404;
    return { code: "NotFound", message: error.message };
  }
};

// The peer reads a query's text for a second, and then looks through all of a container. Here each form is read once, for
// any numbers, and items are found by their id.
const Documents = require("@vercel/cosmosdb-server/lib/account/documents").default;
const parse = require("@zeit/cosmosdb-query").default;
const query = Documents.prototype.query;
const forms = new Map();
Documents.prototype._getQuery = (text) => {
  if (!forms.has(text)) forms.set(text, parse(text));
  return forms.get(text);
};
Documents.prototype.query = function ({ query: text, parameters }, options) {
  if (!/c\.id (IN|=) /.test(text)) return query.call(this, { query: text, parameters }, options);
  const rids = parameters.map(({ value }) => this._index.get(`${value}:/id:${value}`)).filter(Boolean);
  const some = Object.create(this, { _data: { value: new Map(rids.map((rid) => [rid, this._data.get(rid)])) } });
  const more = [...parameters];
  const form = text
    .replace(/WHERE c\.id IN \([^)]*\)$/, "")
    .replace(/(?<=[<=] )-?\d+/g, (number) => `@n${more.push({ name: `@n${more.length}`, value: Number(number) }) - 1}`);
  return query.call(some, { query: form, parameters: more }, options);
};

const peer = require("@vercel/cosmosdb-server").createHttpServer({ keepAlive: true });
let faults = []; // {method, path, times, status, headers, drop}; of those that fit, the first that has times left
let seen = []; // [method, url] of what was asked

function fault(req) {
  const method = req.headers["content-type"] === "application/query+json" ? "QUERY" : req.method;
  const fits = (one) => one.times !== 0 && new RegExp(one.method).test(method) && new RegExp(one.path).test(req.url);
  const found = faults.find(fits);
  if (found) found.times -= 1;
  return found;
}

function answer(res, status, body, headers) {
  res.writeHead(status, { "content-type": "application/json", "x-ms-request-charge": "0.5", ...headers });
  res.end(JSON.stringify(body));
}

async function told(req) {
  const parts = [];
  for await (const part of req) parts.push(part);
  return JSON.parse(Buffer.concat(parts));
}

const server = https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, async (req, res) => {
  if (req.url === "/faults") {
    faults = await told(req);
    return answer(res, 200, seen.splice(0));
  }
  seen.push([req.method, req.url]);
  const found = fault(req);
  if (found && found.drop === "before") return req.socket.destroy();
  if (found && found.drop === "never") return req.resume();
  if (found && found.drop === "after") res.end = () => req.socket.destroy();
  else if (found) {
    req.resume();
    return answer(res, found.status, { code: String(found.status), message: "asked for by a test" }, found.headers);
  }
  if (DOCUMENTS.test(req.url) && Number(req.headers["content-length"]) > LARGEST) {
    req.resume();
    return answer(res, 413, { code: "RequestEntityTooLarge", message: "Request size is too large" });
  }
  if (req.method === "POST") {
    // The peer charges 1 for everything. Here to write is dearer, and dearer still where it is indexed.
    const charge = req.headers["x-ms-indexing-directive"] === "1" ? "5.5" : "8";
    const set = res.setHeader.bind(res);
    res.setHeader = (name, value) => set(name, name === "x-ms-request-charge" && res.statusCode === 201 ? charge : value);
  }
  if (req.headers["x-ms-documentdb-partitionkeyrangeid"] || req.headers["x-ms-start-epk"]) {
    req.headers["x-ms-documentdb-query-enablecrosspartition"] = "true"; // the peer knows no ranges of keys
  }
  return peer.emit("request", req, res);
});
server.keepAliveTimeout = 120_000;
server.listen(0, address, () => {
  peer.address = () => server.address(); // of the account, which clients are told to write to
  peer.emit("listening");
  console.log(`listening on ${server.address().port}`);
});
