// A decoder of dewline's blocks in plain JavaScript, after docs/contract.md.
//
// decode(payload) gives the block's records in the order of their numbers, or throws a
// ContractError with the document's code. Standard library of Node 18 and later only.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";

const MOST = Number.MAX_SAFE_INTEGER; // 2^53 - 1
const MAX_PAYLOAD = 200000;
const MAX_DOCUMENT = 4194304;
const MAX_RECORDS = 65536;
const MAX_DEPTH = 32;
const FIRST_UTC = -62135596800000;
const LAST_UTC = 253402300799999;
const UNITS = { temperature: "Cel", humidity: "%RH", pressure: "Pa" };
const QUALITIES = ["good", "uncertain", "bad"];
const FLAGS = [
  "retried", "out_of_range", "jump", "stuck", "heater", "disagrees",
  "no_answer", "check_failed", "sensor_fault",
];
const DICTIONARIES = new Map([
  [1, readFileSync(new URL("../../../contract/dictionaries/1.txt", import.meta.url))],
]);

export class ContractError extends Error {
  constructor(code, text) {
    super(`${code}: ${text}`);
    this.code = code;
  }
}

const refuse = (code, text) => {
  throw new ContractError(code, text);
};

// --- fields: each reader takes a value and its place, and returns it or refuses ------------------

const isTable = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const whole = (low, high) => (value, place) =>
  Number.isSafeInteger(value) && value >= low && value <= high
    ? value + 0 // -0 is 0
    : refuse("bad_field", `${place}: no whole number ${low} to ${high}`);

const number = (low, high) => (value, place) =>
  typeof value === "number" && Number.isFinite(value) && value >= low && value <= high
    ? value
    : refuse("bad_field", `${place}: no number ${low} to ${high}`);

const text = (pattern) => (value, place) =>
  typeof value === "string" && new RegExp(`^(?:${pattern})$`, "u").test(value)
    ? value
    : refuse("bad_field", `${place}: not ${pattern}`);

const word = (...words) => (value, place) =>
  words.includes(value) ? value : refuse("bad_field", `${place}: none of ${words}`);

const truth = (value, place) =>
  typeof value === "boolean" ? value : refuse("bad_field", `${place}: neither true nor false`);

const list = (item) => (value, place) =>
  Array.isArray(value)
    ? value.map((v, i) => item(v, `${place}[${i}]`))
    : refuse("bad_field", `${place}: no list`);

const table = (fields, check = () => {}) => (value, place) => {
  if (!isTable(value)) refuse("bad_field", `${place}: no table`);
  const built = {};
  for (const [name, field] of Object.entries(fields)) {
    const missing = !Object.hasOwn(value, name) || (value[name] === null && field.nullable);
    if (missing && field.missing === undefined) refuse("bad_field", `${place}: no ${name}`);
    built[name] = missing ? field.missing : field.read(value[name], `${place}.${name}`);
  }
  check(built, place);
  return built;
};

const needed = (read) => ({ read });
const or = (missing, read) => ({ read, missing });
const nullable = (read) => ({ read, missing: null, nullable: true });

const id = text("[a-z0-9][a-z0-9-]{0,62}");
const streamId = text("[a-z2-7]{13}");
const shortText = text("[^\\x00-\\x1f\\ud800-\\udfff]{1,200}");
const count = whole(0, MOST);
const seq = whole(1, MOST);
const utc = whole(FIRST_UTC, LAST_UTC);
const anyNumber = number(-Number.MAX_VALUE, Number.MAX_VALUE);
const probability = number(0, 1);

const span = table(
  { stream_id: needed(streamId), first: needed(seq), last: needed(seq) },
  (s, place) => s.last >= s.first || refuse("bad_field", `${place}: last below first`),
);

const KINDS = {
  prediction: table({
    condition_id: needed(id),
    model: needed(id),
    version: needed(id),
    horizon_s: needed(whole(1, 100000000)),
    probability: needed(probability),
    origin: or("edge", word("edge", "cloud")),
    mode: or("active", word("active", "shadow")),
  }),
  alert: table({
    alert_id: needed(text("[0-9a-f]{16}")),
    condition_id: needed(id),
    state: needed(word("raised", "cleared")),
    basis: needed(word("observed", "forecast", "no_data")),
    value: nullable(anyNumber),
    probability: nullable(probability),
    receipts: or([], list(table({ output_id: needed(id), delivered: needed(truth) }))),
  }),
  status: table({
    phase: needed(word("start", "running", "stop")),
    version: needed(shortText),
    previous_stream_id: nullable(streamId),
    previous_last: nullable(count),
    samples_total: or(0, count),
    sample_failures_total: or(0, count),
    committed_total: or(0, count),
    queued_blocks: or(0, count),
    queued_bytes: or(0, count),
  }),
  model_report: table({
    model: needed(id),
    version: needed(id),
    outcome: needed(id),
    reason: nullable(shortText),
  }),
  loss: table({
    reason: needed(word("unclean_stop", "budget", "corrupt")),
    lost: nullable(span),
    from_at: nullable(utc),
    to_at: nullable(utc),
    estimated_total: nullable(count),
  }),
  clock_fix: table({ utc_at: needed(utc), uncertainty_ms: needed(count) }),
  held: table({ spans: or([], list(span)), truncated: or(false, truth) }),
};

const HEAD = table({
  clock: needed(word("synced", "unsynced")),
  stream: needed(streamId),
  first: needed(seq),
  at: needed(list(whole(-MOST, MOST))),
  sensors: or([], list((value) => value)),
  events: or([], list((value) => value)),
});

const SENSOR = table({
  sensor: needed(id),
  series: needed(list((value) => value)),
  data: needed(list((value) => value)),
  marks: or([], list((value) => value)),
  calibration: nullable(id),
  statistic: nullable(word("min", "mean", "max")),
  span_s: nullable(number(0, 1000000000)),
  counts: or([], list(count)),
});

// --- from the outside to the inside --------------------------------------------------------------

export function inflate(payload) {
  if (payload.length === 0) refuse("empty", "no bytes");
  if (payload.length > MAX_PAYLOAD) refuse("bad_size", `${payload.length} bytes`);
  const dictionary = DICTIONARIES.get(payload[0]);
  if (dictionary === undefined) refuse("bad_dictionary", `number ${payload[0]}`);
  const deflated = payload.subarray(1);
  let inflated;
  try {
    inflated = inflateRawSync(deflated, { dictionary, maxOutputLength: MAX_DOCUMENT, info: true });
  } catch (error) {
    const large = error.code === "ERR_BUFFER_TOO_LARGE";
    refuse(large ? "bad_size" : "bad_deflate", error.message);
  }
  if (inflated.engine.bytesWritten !== deflated.length) refuse("bad_deflate", "bytes after the end");
  return inflated.buffer;
}

function parse(bytes) {
  let json;
  try {
    json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    refuse("bad_json", error.message);
  }
  let depth = 0;
  for (const token of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token[0] === "[" || token[0] === "{") depth += 1;
    if (token[0] === "]" || token[0] === "}") depth -= 1;
    if (depth > MAX_DEPTH) refuse("bad_json", "nested too deeply");
  }
  try {
    return JSON.parse(json);
  } catch (error) {
    return refuse("bad_json", error.message);
  }
}

export function decode(payload) {
  const document = parse(inflate(payload));
  if (!isTable(document)) refuse("bad_field", "the document is no table");
  if (document.schema !== 1) refuse("bad_schema", `schema ${document.schema}`);
  const head = HEAD(document, "block");
  if (head.at.length !== (head.clock === "synced" ? 2 : 1)) refuse("bad_field", "at and clock");
  const base = count(head.at[0], "at[0]");
  const utcAt = head.clock === "synced" ? utc(head.at[1], "at[1]") : null;
  const records = [
    ...head.sensors.flatMap((value, i) => readings(value, base, `sensors[${i}]`)),
    ...head.events.map((value, i) => event(value, base, `events[${i}]`)),
  ];
  if (records.length < 1 || records.length > MAX_RECORDS) refuse("bad_size", "records");
  if (head.first + records.length - 1 > MOST) refuse("bad_size", "last number");
  return records.map(({ offset, kind, record }, i) => {
    const observed = utcAt === null ? null : utcAt + offset - base;
    if (observed !== null && observed > LAST_UTC) refuse("bad_field", "beyond the year 9999");
    const entry = { seq: head.first + i, offset_ms: offset, observed_at: observed, kind, record };
    return Object.defineProperty(entry, "stream", { value: head.stream });
  });
}

function event(value, base, place) {
  if (!Array.isArray(value) || value.length < 3) refuse("bad_field", `${place}: no event`);
  const [kind, difference, fields] = value;
  if (typeof kind !== "string" || !Object.hasOwn(KINDS, kind)) refuse("bad_kind", place);
  const offset = base + whole(0, MOST - base)(difference, `${place}[1]`);
  return { offset, kind, record: KINDS[kind](fields, place) };
}

function readings(value, base, place) {
  const sensor = SENSOR(value, place);
  const series = sensor.series.map((item) => column(item, place));
  const rows = sensor.data.length / (1 + series.length);
  if (series.length === 0 || rows < 1 || !Number.isInteger(rows)) refuse("bad_columns", place);
  const offsets = times(sensor.data.slice(0, rows), base, place);
  if (sensor.counts.length && sensor.counts.length !== rows) refuse("bad_columns", `${place} counts`);
  const marks = marked(sensor.marks, series.length, rows, place);
  return series.flatMap(({ quantity, decimals }, s) =>
    offsets.map((offset, row) => {
      const scaled = sensor.data[rows * (1 + s) + row];
      const [quality, flags] = marks.get(`${s} ${row}`) ?? ["good", []];
      if (scaled === null ? quality !== "bad" || !flags.length : !Number.isSafeInteger(scaled)) {
        refuse("bad_columns", `${place}: series ${s} row ${row}`);
      }
      const record = {
        sensor_id: sensor.sensor,
        quantity,
        value: scaled === null ? null : (scaled + 0) / 10 ** decimals,
        quality,
        flags,
        calibration: sensor.calibration,
        statistic: sensor.statistic,
        span_s: sensor.span_s,
        count: sensor.counts.length ? sensor.counts[row] : null,
      };
      return { offset, kind: "reading", record };
    }),
  );
}

function column(item, place) {
  if (!Array.isArray(item) || item.length < 3) refuse("bad_quantity", place);
  const [quantity, unit, decimals] = item;
  if (typeof quantity !== "string" || !Object.hasOwn(UNITS, quantity)) refuse("bad_quantity", place);
  if (unit !== UNITS[quantity]) refuse("bad_unit", `${place}: ${quantity}`);
  return { quantity, decimals: whole(0, 9)(decimals, `${place} decimals`) };
}

function times(differences, base, place) {
  let offset = base;
  return differences.map((difference) => {
    if (!Number.isSafeInteger(difference) || difference < 0) refuse("bad_columns", `${place} times`);
    offset += difference;
    if (offset > MOST) refuse("bad_columns", `${place}: a time beyond 2^53 - 1`);
    return offset;
  });
}

function marked(items, columns, rows, place) {
  const marks = new Map();
  for (const item of items) {
    if (!Array.isArray(item) || item.length < 4) refuse("bad_columns", `${place}: mark`);
    const [s, row, quality, flags] = item;
    const named =
      Number.isSafeInteger(s) && s >= 0 && s < columns &&
      Number.isSafeInteger(row) && row >= 0 && row < rows;
    const worded =
      QUALITIES.includes(quality) && Array.isArray(flags) && flags.every((f) => FLAGS.includes(f));
    if (!named || !worded || marks.has(`${s} ${row}`)) refuse("bad_columns", `${place}: mark`);
    marks.set(`${s} ${row}`, [quality, flags]);
  }
  return marks;
}

export const digest = (payload) =>
  createHash("sha256").update(payload).digest("hex").slice(0, 16);
