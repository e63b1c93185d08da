// Holds decode.mjs, which was written from docs/contract.md alone, against examples and exports.
//
//   node check.mjs examples DIR                  DIR has valid/*.json and invalid/*.json
//   node check.mjs export DIR EXPECTED.ndjson    DIR has index.ndjson and the payloads it names
//
// Prints counts and exits with 0, or prints the first differences and exits with 1.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { ContractError, decodeBlock } from "./decode.mjs";

const SHOWN = 10;
const differences = [];
const counts = {};
const check = (what, found, wanted, fits = isDeepStrictEqual(found, wanted)) => {
  counts.checks = (counts.checks ?? 0) + 1;
  if (!fits) differences.push(`${what}\n  found  ${JSON.stringify(found)}\n  wanted ${JSON.stringify(wanted)}`);
};
const digest = (payload) => createHash("sha256").update(payload).digest("hex").slice(0, 16);
// Numbers are compared as numbers: -0 is 0.
const parse = (text) => JSON.parse(text, (_, v) => (typeof v === "number" ? v + 0 : v));
const lines = (file) => readFileSync(file, "utf8").split("\n").filter((l) => l !== "").map((l) => parse(l));

// The block, or the code it was refused with. Anything else that is thrown is a fault of the decoder.
function attempt(payload) {
  try {
    return { block: decodeBlock(payload) };
  } catch (error) {
    return { code: error instanceof ContractError ? error.code : `fell over: ${error}` };
  }
}

function examples(folder) {
  const each = (name, visit) => {
    const files = readdirSync(join(folder, name)).filter((file) => file.endsWith(".json")).sort();
    counts[name] = files.length;
    for (const file of files) {
      const example = parse(readFileSync(join(folder, name, file), "utf8"));
      visit(`${name}/${file}`, example, Buffer.from(example.payload_base64, "base64"));
    }
  };
  each("valid", (name, example, payload) => {
    check(`${name}: digest`, digest(payload), example.digest);
    const { block, code } = attempt(payload);
    if (!block) return check(name, code, "a block", false);
    const { entries, ...head } = block;
    check(`${name}: block`, head, example.block);
    check(`${name}: how many entries`, entries.length, example.entries.length);
    example.entries.forEach((wanted, n) => check(`${name}: entry ${n}`, entries[n], wanted));
  });
  each("invalid", (name, example, payload) => {
    const { block, code } = attempt(payload);
    const right = [example.error, example.or].filter((c) => typeof c === "string");
    check(name, block ? "a block" : code, right.join(" or "), !block && right.includes(code));
  });
}

// Without fields that are null or empty lists, at every level.
function slim(value) {
  if (Array.isArray(value)) return value.map(slim);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== null && !(Array.isArray(v) && v.length === 0))
      .map(([name, v]) => [name, slim(v)]),
  );
}

function exported(folder, expectedFile) {
  const index = lines(join(folder, "index.ndjson"));
  const found = [];
  for (const { device, stream, first, last, digest: wanted, file } of index) {
    const payload = readFileSync(join(folder, file));
    check(`${file}: digest`, digest(payload), wanted);
    const { block, code } = attempt(payload);
    if (!block) {
      check(file, code, "a block", false);
      continue;
    }
    check(`${file}: stream and numbers`, [block.stream_id, block.first, block.last], [stream, first, last]);
    for (const { record, ...entry } of block.entries) found.push({ device, stream, ...entry, record: slim(record) });
  }
  const expected = lines(expectedFile);
  counts.payloads = index.length;
  counts.records = expected.length;
  check("how many records", found.length, expected.length);
  expected.forEach((wanted, n) => check(`record ${n}`, found[n], wanted));
}

const [what, ...paths] = process.argv.slice(2);
if (what === "examples" && paths.length === 1) examples(...paths);
else if (what === "export" && paths.length === 2) exported(...paths);
else {
  console.error("usage: check.mjs examples DIR | check.mjs export DIR EXPECTED.ndjson");
  process.exit(2);
}
for (const [name, n] of Object.entries(counts)) if (n === 0) differences.push(`nothing to check: ${name} is 0`);
console.log(Object.entries(counts).map(([name, n]) => `${name} ${n}`).join(", "));
if (differences.length > 0) {
  console.log(differences.slice(0, SHOWN).join("\n"));
  console.log(`${differences.length} differences`);
  process.exitCode = 1;
}
