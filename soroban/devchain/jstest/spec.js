// Parity of the SDK's contract.Spec with the Go package contractspec, on the
// corpus that both read. Every value is converted both ways by both.
//
// Our JSON and the SDK's native values are two notations for the same thing:
// native() below is the whole difference.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'

import { field } from './suite.js'

const corpus = JSON.parse(
  readFileSync(new URL('../../contractspec/testdata/corpus.json', import.meta.url), 'utf8'),
)

/** The name and the parameters of a declared type, in either major version. */
function typeOf(def) {
  const version15 = typeof def.switch === 'function'
  const name = version15 ? def.switch().name : def.type
  return { name: name.replace('scSpecType', ''), of: version15 ? def.value() : def.value }
}

const BIG = new Set(['U64', 'I64', 'Timepoint', 'Duration', 'U128', 'I128', 'U256', 'I256'])
const digits = (json) => typeof json === 'number' || typeof json === 'bigint' || (typeof json === 'string' && /^-?\d+$/.test(json))

/** Writes a value of our JSON as the SDK's users write it. What has no counterpart passes unchanged. */
function native(spec, def, json) {
  const { name, of } = typeOf(def)
  if (BIG.has(name)) return digits(json) ? BigInt(json) : json
  switch (name) {
    case 'U32':
    case 'I32':
      return digits(json) ? Number(json) : json
    case 'Bytes':
    case 'BytesN':
      return typeof json === 'string' && /^([0-9a-fA-F]{2})*$/.test(json) ? Buffer.from(json, 'hex') : json
    case 'Option':
      return json === null ? null : native(spec, field(of, 'valueType'), json)
    case 'Vec':
      return Array.isArray(json) ? json.map((item) => native(spec, field(of, 'elementType'), item)) : json
    case 'Tuple':
      return Array.isArray(json) ? json.map((item, i) => positional(spec, field(of, 'valueTypes')[i], item)) : json
    case 'Map':
      return pairs(json, (k) => native(spec, field(of, 'keyType'), k), (v) => native(spec, field(of, 'valueType'), v))
    case 'Udt':
      return declared(spec, spec.findEntry(String(field(of, 'name'))), json)
    default:
      return json
  }
}

const positional = (spec, def, json) => (def ? native(spec, def, json) : json)

function pairs(json, key, value) {
  if (json === null || typeof json !== 'object') return json
  const entries = Array.isArray(json) ? json : Object.entries(json)
  return entries.map((pair) => (Array.isArray(pair) ? [key(pair[0]), value(pair[1]), ...pair.slice(2)] : pair))
}

function declared(spec, entry, json) {
  const version15 = typeof entry.switch === 'function'
  const kind = version15 ? entry.switch().name : entry.type
  const udt = version15 ? entry.value() : entry.value
  if (kind === 'scSpecEntryUdtStructV0' && json !== null && typeof json === 'object') {
    const out = Array.isArray(json) ? [] : {}
    for (const [name, value] of Object.entries(json)) {
      const f = field(udt, 'fields').find((f) => String(field(f, 'name')) === name)
      out[name] = f ? native(spec, field(f, 'type'), value) : value
    }
    return out
  }
  if (kind === 'scSpecEntryUdtEnumV0') {
    const found = field(udt, 'cases').find((c) => String(field(c, 'name')) === json)
    return found ? field(found, 'value') : json
  }
  if (kind === 'scSpecEntryUdtUnionV0' && json?.values && Array.isArray(json.values)) {
    const chosen = field(udt, 'cases')
      .map((c) => (version15 ? c.value() : c.value))
      .find((c) => String(field(c, 'name')) === json.tag)
    const types = chosen && field(chosen, 'type')
    return { ...json, values: json.values.map((v, i) => positional(spec, types?.[i], v)) }
  }
  return json
}

/** Makes decoded values comparable: Buffers and Uint8Arrays alike. */
function plain(value) {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') }
  if (Array.isArray(value)) return value.map(plain)
  if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]))
  }
  return value
}

/** Orders the pairs of a top-level map like those of `decoded`: our objects have no order, the SDK keeps what it gets. */
function ordered(value, decoded) {
  const same = (a, b) => JSON.stringify(plain(a), big) === JSON.stringify(plain(b), big)
  return decoded.map(([key]) => {
    const found = value.find(([k]) => same(k, key))
    assert.ok(found, `no entry ${String(key)}`)
    return found
  })
}

const big = (_, v) => (typeof v === 'bigint' ? `${v}n` : v)

/** What contract.Spec cannot convert, as the SDK's own JSON of the encoded value (SEP-51, version 17). */
const beyondSpec = {
  // Val has no declared type: the SDK guesses one. Errors, and Results inside other values, it refuses.
  'val {"vec":[{"u32":1},{"i256":"-1"},{"void":null},{"map":[[{"bool":true},{"bytes":"00"}]]}]}':
    '{"vec":[{"u32":1},{"i256":"-1"},"void",{"map":[{"key":{"bool":true},"val":{"bytes":"00"}}]}]}',
  'val {"error":{"code":1,"type":"contract"}}': '{"error":{"contract":1}}',
  [`val {"address":"${muxed()}"}`]: `{"address":"${muxed()}"}`,
  'map_val [[{"u32":1},1],[{"symbol":"a"},2]]':
    '{"map":[{"key":{"u32":1},"val":{"u32":1}},{"key":{"symbol":"a"},"val":{"u32":2}}]}',
  'error {"code":7,"type":"contract"}': '{"error":{"contract":7}}',
  'error {"code":"existing_value","type":"auth"}': '{"error":{"auth":"existing_value"}}',
  'fault "AlreadyVoted"': '{"error":{"contract":2}}',
  'res_i128 {"error":"NotFound"}': '{"error":{"contract":1}}',
  'vec_res [{"ok":1},{"error":"NotFound"}]': '{"vec":[{"u32":1},{"error":{"contract":1}}]}',
  'map_error [[{"code":1,"type":"contract"},2],[{"code":2,"type":"contract"},1]]':
    '{"map":[{"key":{"error":{"contract":1}},"val":{"u32":2}},{"key":{"error":{"contract":2}},"val":{"u32":1}}]}',
  // Strings that are not UTF-8.
  'string {"hex":"ff00"}': '{"string":"\\\\xff\\\\0"}',
  'map_string [["a",null],[{"hex":"ff"},null]]':
    '{"map":[{"key":{"string":"a"},"val":"void"},{"key":{"string":"\\\\xff"},"val":"void"}]}',
  // Item declares its fields unsorted, which no compiler does. The SDK encodes them in that order, and the network
  // takes only a sorted map.
  'item {"amount":"5","name":"gold","note":null}':
    '{"map":[{"key":{"symbol":"amount"},"val":{"i128":"5"}},{"key":{"symbol":"name"},"val":{"symbol":"gold"}},' +
    '{"key":{"symbol":"note"},"val":"void"}]}',
  'item {"amount":"-5","name":"gold","note":"n"}':
    '{"map":[{"key":{"symbol":"amount"},"val":{"i128":"-5"}},{"key":{"symbol":"name"},"val":{"symbol":"gold"}},' +
    '{"key":{"symbol":"note"},"val":{"string":"n"}}]}',
}

function muxed() {
  return 'MAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSAAAAAAAAAAAAJVJFY'
}

/** What the SDK takes although we refuse it. All other refusals of the corpus it shares. */
const laxer = new Set([
  // Other spellings of a number, which JavaScript does not tell apart.
  'u32 1.0', 'u32 1e3', 'u32 -0', 'u64 "+1"', 'u64 "007"', 'u64 " 7"', 'u64 "0x7"', 'u64 ""', 'map_u64 {"01":true}',
  // Bytes in base64, or what it takes for that.
  'bytes "0x00"', 'bytes "abc"', 'bytes "AAECAw=="',
  // What the network will refuse: letters of a symbol, kinds of addresses, equal keys.
  'symbol "a-b"', 'map_symbol {"a b":1}', `address "${muxed()}"`,
  'address "LAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSB4BB"',
  'map_symbol {"a":1,"a":2}', 'map_symbol [["a",1],["a",2]]', 'map_bytes {"aa":1,"AA":2}',
  // Members that are missing or too many, silently.
  'map_symbol [["a",1,2]]', 'item {"name":"a","amount":1}', 'item {"name":"a","amount":1,"note":null,"x":1}',
  'empty {"a":1}', 'tree {"tag":"Leaf","values":[]}',
  'pair {"0":1,"1":"GAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSABOV"}',
])

/** Types that contract.Spec does not take at all, so that its refusals say nothing. */
const foreign = new Set(['val', 'error', 'fault', 'vec_res', 'res_i128', 'map_error', 'map_val'])

/** Registers the tests for one SDK. */
export function parity(name, sdk) {
  const spec = new sdk.contract.Spec(corpus.entries)
  const typeIn = (fn) => field(field(spec.getFunc(fn), 'inputs')[0], 'type')
  const encode = (fn, v) => {
    const val = spec.funcArgsToScVals(fn, { v })[0]
    return val.toXDR ? val.toXDR('base64') : val.toXdr('base64')
  }
  const convertBothWays = (tc) => {
    const decoded = spec.funcResToNative(tc.function, tc.xdr)
    let value = native(spec, typeIn(tc.function), tc.json)
    if (tc.function.startsWith('map_')) value = ordered(value, decoded)
    assert.deepEqual(plain(decoded), plain(value), 'XDR to native')
    assert.equal(encode(tc.function, value), tc.xdr, 'native to XDR')
  }

  describe(`values of ${name}`, () => {
    for (const tc of corpus.values) {
      const label = `${tc.function} ${JSON.stringify(tc.json)}`
      test(label, () => {
        if (!(label in beyondSpec)) return convertBothWays(tc)
        assert.throws(() => convertBothWays(tc), undefined, 'contract.Spec agrees by now; remove the exception')
        if (sdk.xdr.ScVal.fromXdr) {
          assert.equal(JSON.stringify(sdk.xdr.ScVal.fromXdr(tc.xdr, 'base64')), beyondSpec[label])
        }
      })
    }
  })

  describe(`refusals of ${name}`, () => {
    for (const tc of corpus.refused) {
      if (foreign.has(tc.function)) continue
      const label = `${tc.function} ${tc.text}`
      // JSON.parse rounds integers that the corpus spells in full.
      const json = digits(tc.text) && tc.text !== '-0' ? BigInt(tc.text) : JSON.parse(tc.text)
      test(label, () => {
        const convert = () => encode(tc.function, native(spec, typeIn(tc.function), json))
        if (laxer.has(label)) assert.doesNotThrow(convert, 'the SDK refuses it by now; remove the exception')
        else assert.throws(convert)
      })
    }
  })
}
