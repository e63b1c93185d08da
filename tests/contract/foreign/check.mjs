// Holds the decoder against what others read.
//
//   node check.mjs examples DIR                  contract/examples: valid and invalid
//   node check.mjs export DIR EXPECTED.ndjson    a folder of `dewline-cloud lake export`
//
// Prints counts and exits with 0, or prints the first differences and exits with 1.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { ContractError, decode, digest } from "./decode.mjs";

const differences = [];
const same = (found, wanted, what) => {
  if (isDeepStrictEqual(found, wanted)) return;
  differences.push(`${what}\n  found  ${JSON.stringify(found)}\n  wanted ${JSON.stringify(wanted)}`);
};
const tables = (folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8"))]);
const lines = (file) =>
  readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));

function codeOf(payload) {
  try {
    decode(payload);
    return "read as a block";
  } catch (error) {
    if (error instanceof ContractError) return error.code;
    throw error;
  }
}

function checkExamples(folder) {
  const valid = tables(join(folder, "valid"));
  for (const [name, example] of valid) {
    const payload = Buffer.from(example.payload_base64, "base64");
    const entries = decode(payload);
    same(digest(payload), example.digest, `${name}: digest`);
    same(entries, example.entries, name);
    same(entries[0].stream, example.block.stream_id, `${name}: stream`);
    same([entries[0].seq, entries.at(-1).seq], [example.block.first, example.block.last], name);
  }
  const invalid = tables(join(folder, "invalid"));
  for (const [name, example] of invalid) {
    const code = codeOf(Buffer.from(example.payload_base64, "base64"));
    if (code !== example.error && code !== example.or) same(code, example.error, name);
  }
  return { valid: valid.length, invalid: invalid.length };
}

const held = ([, value]) => value !== null && !(Array.isArray(value) && value.length === 0);
const without = (record) =>
  Object.fromEntries(
    Object.entries(record)
      .filter(held)
      .map(([name, value]) => [name, nested(value)]),
  );
const nested = (value) => {
  if (Array.isArray(value)) return value.map(nested);
  return value !== null && typeof value === "object" ? without(value) : value;
};

function checkExport(folder, expectedFile) {
  const found = [];
  const index = lines(join(folder, "index.ndjson"));
  for (const line of index) {
    const payload = readFileSync(join(folder, line.file));
    same(digest(payload), line.digest, `${line.file}: digest`);
    const entries = decode(payload);
    same([entries[0].seq, entries.at(-1).seq], [line.first, line.last], `${line.file}: numbers`);
    for (const entry of entries) {
      const stream = entry.stream;
      same(stream, line.stream, `${line.file}: stream`);
      found.push({ device: line.device, stream, ...entry, record: without(entry.record) });
    }
  }
  const expected = lines(expectedFile);
  same(found.length, expected.length, "how many records");
  expected.forEach((wanted, i) => same(found[i], wanted, `record ${i}`));
  return { blocks: index.length, records: found.length };
}

const [what, folder, expectedFile] = process.argv.slice(2);
const counts = what === "export" ? checkExport(folder, expectedFile) : checkExamples(folder);
if (Object.values(counts).some((n) => n === 0)) differences.push("there was nothing to check");
console.log(JSON.stringify({ ...counts, differences: differences.length }));
console.log(differences.slice(0, 10).join("\n"));
process.exit(differences.length ? 1 : 0);
