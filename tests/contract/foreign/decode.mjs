// A decoder of payloads in plain JavaScript, written from docs/contract.md alone.
//
// decode(payload) gives the entries of a block in the order of their numbers; decodeBlock(payload)
// gives the block around them. Both throw a ContractError with the code of the broken rule.

import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";

const MOST = Number.MAX_SAFE_INTEGER;
const MAX_PAYLOAD = 200000;
const maxDocument = (payload) => Math.min(4194304, 163840 + 20 * payload.length);
const MAX_LISTS = 32768;
const MAX_DEPTH = 32;
const MAX_DIGITS = 4300;
const MAX_RECORDS = 16384;
const MAX_SENSORS = 256;
const MAX_SERIES = 1024;
const MAX_EVENTS = 1024;
const MAX_PARTS = 1024;
const UTC_FIRST = -62135596800000;
const UTC_LAST = 253402300799999;
const POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const DICTIONARIES = new Map(
  [1].map((n) => [n, readFileSync(new URL(`../../../contract/dictionaries/${n}.txt`, import.meta.url))]),
);
const UNITS = new Map([
  ["temperature", "Cel"], ["humidity", "%RH"], ["pressure", "Pa"], ["co2", "ppm"],
  ["illuminance", "lx"], ["voltage", "V"], ["contact", "/"],
]);
const QUALITIES = ["good", "uncertain", "bad"];
const FLAGS = ["retried", "out_of_range", "jump", "stuck", "heater", "disagrees", "no_answer",
  "check_failed", "sensor_fault"];

export class ContractError extends Error {
  constructor(code, text) {
    super(`${code}: ${text}`);
    this.name = "ContractError";
    this.code = code;
  }
}
const refuse = (code, text) => {
  throw new ContractError(code, text);
};

// JSON. JSON.parse would lose the difference between 1 and 1.0: whole numbers become numbers here,
// all others become Fraction. Tables have no prototype.

class Fraction {
  constructor(value) {
    this.value = value;
  }
}
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;

function parse(text) {
  let i = 0;
  let lists = 0;
  const bad = (why) => refuse("bad_json", `${why} at ${i}`);
  const take = (pattern) => {
    pattern.lastIndex = i;
    const match = pattern.exec(text);
    if (match) i = pattern.lastIndex;
    return match;
  };
  const next = () => {
    take(SPACE);
    return text[i];
  };
  const expect = (character) => {
    if (next() !== character) bad(`no ${character}`);
    i += 1;
  };
  const string = () => {
    const start = i;
    // A long text may be more than the engine of patterns can take in one go.
    let match;
    try {
      match = take(STRING);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      let end = i + 1;
      while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
      i = end + 1;
      match = [text.slice(start, i)];
    }
    if (!match) bad("no text");
    try {
      return JSON.parse(match[0]);
    } catch {
      return bad("no text");
    }
  };
  const items = (close, one) => {
    i += 1;
    if (next() === close) {
      i += 1;
      return;
    }
    for (;;) {
      one();
      if (next() !== ",") break;
      i += 1;
    }
    expect(close);
  };
  const value = (depth) => {
    const character = next();
    if (character === '"') return string();
    if (character === "{" || character === "[") {
      if (depth >= MAX_DEPTH) bad("nested too deeply");
      lists += 1;
      if (lists > MAX_LISTS) refuse("bad_size", "too many tables and lists");
      if (character === "[") {
        const list = [];
        items("]", () => list.push(value(depth + 1)));
        return list;
      }
      const table = Object.create(null);
      items("}", () => {
        if (next() !== '"') bad("no name");
        const name = string();
        expect(":");
        table[name] = value(depth + 1);
      });
      return table;
    }
    for (const [word, meaning] of [["true", true], ["false", false], ["null", null]]) {
      if (text.startsWith(word, i)) {
        i += word.length;
        return meaning;
      }
    }
    const match = take(NUMBER);
    if (!match) bad("no value");
    const number = Number(match[0]) + 0; // -0 + 0 is 0
    if (match[1] !== undefined || match[2] !== undefined) return new Fraction(number);
    if (match[0].replace("-", "").length > MAX_DIGITS) bad("a whole number of too many digits");
    return number;
  };
  const found = value(0);
  if (next() !== undefined) bad("something follows");
  return found;
}

// Types. Each gives what a decoder makes of the value, or refuses it with bad_field.

const isTable = (v) => typeof v === "object" && v !== null && !Array.isArray(v) && !(v instanceof Fraction);
const isWhole = (v, least, most) => typeof v === "number" && Number.isSafeInteger(v) && v >= least && v <= most;
const field = (ok, what) => ok || refuse("bad_field", what);

const whole = (least = 0, most = MOST) => (v, at) => {
  field(isWhole(v, least, most), `${at} is no whole number ${least} to ${most}`);
  return v;
};
const number = (least = -Infinity, most = Infinity) => (v, at) => {
  const n = v instanceof Fraction ? v.value : v;
  field(Number.isFinite(n) && n >= least && n <= most, `${at} is no number ${least} to ${most}`);
  return n;
};
const text = (pattern) => {
  const full = new RegExp(`^(?:${pattern})$`, "u");
  return (v, at) => {
    field(typeof v === "string" && full.test(v), `${at} is no text ${pattern}`);
    return v;
  };
};
const word = (...words) => (v, at) => {
  field(words.includes(v), `${at} is none of ${words}`);
  return v;
};
const flag = (v, at) => {
  field(typeof v === "boolean", `${at} is neither true nor false`);
  return v;
};
const list = (type) => (v, at) => {
  field(Array.isArray(v), `${at} is no list`);
  return v.map((item, n) => type(item, `${at}[${n}]`));
};
const orNull = (type) => (v, at) => (v === null ? null : type(v, at));
const anything = (v) => v;

const needed = (type) => ({ type });
const optional = (type, missing) => ({ type, missing: () => missing });
const maybe = (type) => optional(orNull(type), null);
const many = (type) => ({ type: list(type), missing: () => [] });
const table = (fields, check = () => {}) => (v, at) => {
  field(isTable(v), `${at} is no table`);
  const found = {};
  for (const [name, { type, missing }] of Object.entries(fields)) {
    if (name in v) found[name] = type(v[name], `${at}.${name}`);
    else if (missing) found[name] = missing();
    else refuse("bad_field", `${at}.${name} is missing`);
  }
  check(found, at);
  return found;
};

const id = text("[a-z0-9][a-z0-9-]{0,62}");
const stream = text("[a-z2-7]{13}");
const line = text("[^\\x00-\\x1f\\ud800-\\udfff]{1,200}");
const total = whole();
const instant = whole(UTC_FIRST, UTC_LAST);
const span = table(
  { stream_id: needed(stream), first: needed(whole(1)), last: needed(whole(1)) },
  (s, at) => field(s.last >= s.first, `${at}.last is below first`),
);

const KINDS = new Map(Object.entries({
  prediction: table({
    condition_id: needed(id), model: needed(id), version: needed(id), horizon_s: needed(whole(1, 100000000)),
    probability: needed(number(0, 1)), origin: optional(word("edge", "cloud"), "edge"),
    mode: optional(word("active", "shadow"), "active"),
  }),
  alert: table({
    alert_id: needed(text("[0-9a-f]{16}")), condition_id: needed(id), state: needed(word("raised", "cleared")),
    basis: needed(word("observed", "forecast", "no_data")), value: maybe(number()), probability: maybe(number(0, 1)),
    receipts: many(table({ output_id: needed(id), delivered: needed(flag) })),
  }),
  status: table({
    phase: needed(word("start", "running", "stop")), version: needed(line), previous_stream_id: maybe(stream),
    previous_last: maybe(total), samples_total: optional(total, 0), sample_failures_total: optional(total, 0),
    committed_total: optional(total, 0), queued_blocks: optional(total, 0), queued_bytes: optional(total, 0),
  }),
  model_report: table({ model: needed(id), version: needed(id), outcome: needed(id), reason: maybe(line) }),
  loss: table({
    reason: needed(word("unclean_stop", "budget", "corrupt")), lost: maybe(span), from_at: maybe(instant),
    to_at: maybe(instant), estimated_total: maybe(total),
  }),
  clock_fix: table({ utc_at: needed(instant), uncertainty_ms: needed(total) }),
  held: table({ spans: many(span), truncated: optional(flag, false) }),
}));

const documentType = table({
  clock: needed(word("synced", "unsynced")), stream: needed(stream), first: needed(whole(1)),
  at: needed(list(anything)), sensors: many(anything), events: many(anything),
});
const sensorType = table({
  sensor: needed(id), series: needed(list(anything)), data: needed(list(anything)), marks: many(anything),
  calibration: maybe(id), statistic: maybe(word("min", "mean", "max")), span_s: maybe(number(0, 1000000000)),
  counts: many(total),
});

function inflate(payload) {
  if (payload.length === 0) refuse("empty", "no bytes");
  if (payload.length > MAX_PAYLOAD) refuse("bad_size", `${payload.length} bytes of payload`);
  const dictionary = DICTIONARIES.get(payload[0]);
  if (!dictionary) refuse("bad_dictionary", `no dictionary ${payload[0]}`);
  const deflated = payload.subarray(1);
  try {
    const { buffer, engine } = inflateRawSync(deflated, { dictionary, maxOutputLength: maxDocument(payload), info: true });
    if (engine.bytesWritten !== deflated.length) refuse("bad_deflate", "bytes after the end");
    return buffer;
  } catch (error) {
    if (error instanceof ContractError) throw error;
    if (error.code === "ERR_BUFFER_TOO_LARGE") refuse("bad_size", "the document is too large");
    return refuse("bad_deflate", error.message);
  }
}

function readDocument(bytes) {
  let json;
  try {
    json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    refuse("bad_json", "no UTF-8");
  }
  const found = parse(json);
  field(isTable(found), "the document is no table");
  if (found.schema !== 1) refuse("bad_schema", "schema is not 1");
  return documentType(found, "document");
}

// The columns of one sensor: its rows' offsets, and for each series its values with their marks.
function readColumns(item, where, begin) {
  const sensor = sensorType(item, where);
  const { series, data, marks, counts } = sensor;
  const columns = (ok, what) => ok || refuse("bad_columns", `${where}: ${what}`);
  columns(series.length > 0, "series is empty: there is no column to fill");
  for (const one of series) {
    if (!Array.isArray(one) || one.length < 3) refuse("bad_quantity", `${where}: a series has fewer than 3 items`);
    const [quantity, unit, decimals] = one;
    if (!UNITS.has(quantity)) refuse("bad_quantity", `${where}: no quantity ${JSON.stringify(quantity)}`);
    if (UNITS.get(quantity) !== unit) refuse("bad_unit", `${where}: ${quantity} in ${JSON.stringify(unit)}`);
    field(isWhole(decimals, 0, 9), `${where}: decimals are not 0 to 9`);
  }
  const rows = data.length / (1 + series.length);
  columns(rows >= 1 && Number.isInteger(rows), "data does not fill the columns");
  if (rows * series.length > MAX_RECORDS) refuse("bad_size", "too many records");
  const offsets = [];
  let offset = begin;
  for (const difference of data.slice(0, rows)) {
    columns(isWhole(difference, 0, MOST), "a time is no difference");
    offset += difference;
    columns(offset <= MOST, "a time is too late");
    offsets.push(offset);
  }
  columns(data.slice(rows).every((v) => v === null || isWhole(v, -MOST, MOST)), "a value is neither whole nor null");
  columns(counts.length === 0 || counts.length === rows, "counts are not one a row");
  const marked = new Map();
  for (const mark of marks) {
    columns(Array.isArray(mark) && mark.length >= 4, "a mark has fewer than 4 items");
    const [s, row, quality, flags] = mark;
    columns(isWhole(s, 0, series.length - 1) && isWhole(row, 0, rows - 1), "a mark names no value");
    columns(QUALITIES.includes(quality), "a mark names no quality");
    columns(Array.isArray(flags) && flags.every((f) => FLAGS.includes(f)), "a mark names no flag");
    const place = s * rows + row;
    columns(!marked.has(place), "a value has two marks");
    marked.set(place, { quality, flags });
  }
  return { ...sensor, rows, offsets, marked };
}

// How much there is of everything that a block has a limit of.
function checkSize({ sensors, events }) {
  const size = (ok, what) => ok || refuse("bad_size", `too many ${what}`);
  const length = (v) => (Array.isArray(v) ? v.length : 0);
  const sum = (items, one) => items.reduce((total, item) => total + one(item), 0);
  size(sensors.length <= MAX_SENSORS, "sensors");
  size(sum(sensors, (s) => length(isTable(s) ? s.series : null)) <= MAX_SERIES, "series");
  size(events.length <= MAX_EVENTS, "events");
  const parts = (e) => {
    const fields = Array.isArray(e) && isTable(e[2]) ? e[2] : {};
    return length(fields.spans) + length(fields.receipts);
  };
  size(sum(events, parts) <= MAX_PARTS, "spans and receipts");
}

export function decodeBlock(payload) {
  const doc = readDocument(inflate(payload));
  checkSize(doc);
  const synced = doc.clock === "synced";
  field(doc.at.length === (synced ? 2 : 1), "at does not fit clock");
  const begin = whole()(doc.at[0], "at[0]");
  const utc = synced ? instant(doc.at[1], "at[1]") : null;
  const entries = [];
  const add = (offset, kind, record) => {
    const observed = synced ? utc + (offset - begin) : null;
    field(observed === null || observed <= UTC_LAST, "a time beyond the year 9999");
    if (entries.length === MAX_RECORDS) refuse("bad_size", "too many records");
    const seq = doc.first + entries.length;
    if (seq > MOST) refuse("bad_size", "last number beyond 2^53 - 1");
    entries.push({ seq, offset_ms: offset, observed_at: observed, kind, record });
  };
  doc.sensors.forEach((item, n) => {
    const sensor = readColumns(item, `sensors[${n}]`, begin);
    sensor.series.forEach(([quantity, , decimals], s) => {
      sensor.offsets.forEach((offset, row) => {
        const place = s * sensor.rows + row;
        const raw = sensor.data[sensor.rows + place];
        const { quality, flags } = sensor.marked.get(place) ?? { quality: "good", flags: [] };
        if (raw === null && (quality !== "bad" || flags.length === 0)) {
          refuse("bad_columns", `sensors[${n}]: a null without a reason`);
        }
        add(offset, "reading", {
          sensor_id: sensor.sensor, quantity, value: raw === null ? null : raw / POWERS[decimals], quality,
          flags: [...flags], calibration: sensor.calibration, statistic: sensor.statistic, span_s: sensor.span_s,
          count: sensor.counts.length ? sensor.counts[row] : null,
        });
      });
    });
  });
  doc.events.forEach((item, n) => {
    const where = `events[${n}]`;
    field(Array.isArray(item) && item.length >= 3, `${where} has fewer than 3 items`);
    const [kind, difference, fields] = item;
    const type = KINDS.get(kind) ?? refuse("bad_kind", `${where}: no kind ${JSON.stringify(kind)}`);
    const offset = begin + whole()(difference, `${where}: difference`);
    field(offset <= MOST, `${where} is too late`);
    add(offset, kind, type(fields, where));
  });
  if (entries.length === 0) refuse("bad_size", "no records");
  const kinds = {};
  for (const { kind } of entries) kinds[kind] = (kinds[kind] ?? 0) + 1;
  const last = entries.at(-1).seq;
  return { stream_id: doc.stream, first: doc.first, last, clock: doc.clock, kinds_total: kinds, entries };
}

export const decode = (payload) => decodeBlock(payload).entries;
