// One of the Express servers that onceward is measured against:
//
//   node server.mjs bare
//   node server.mjs node-idempotency redis://127.0.0.1:6379
//   node server.mjs lifecycle postgres://user@127.0.0.1:5432/db
//
// It listens on a free port of the loopback address and prints it. All of them
// answer POST /v1/payments alike; only what guards the handler differs.
import express from 'express'

const [kind, address] = process.argv.slice(2)
const answer = { status: 'created', note: 'x'.repeat(482) } // 512 bytes as JSON

const handler = (req, res) => {
  if (!req.body?.amount) {
    res.status(400).json({ error: 'amount' })
    return
  }
  res.status(201).json(answer)
}

// nodeIdempotency wires the core package to Express, as its adapters for other
// frameworks do.
async function nodeIdempotency () {
  const { Idempotency } = await import('@node-idempotency/core')
  const { RedisStorageAdapter } = await import('@node-idempotency/storage-adapter-redis')
  const storage = new RedisStorageAdapter({ url: address })
  await storage.connect()
  const once = new Idempotency(storage)
  return async (req, res, next) => {
    const request = { method: req.method, path: req.path, headers: req.headers, body: req.body }
    const recorded = await once.onRequest(request)
    if (recorded) {
      res.status(recorded.additional.status).json(recorded.body)
      return
    }
    const send = res.json.bind(res)
    res.json = (body) => {
      once.onResponse(request, { body, additional: { status: res.statusCode } })
        .then(() => send(body), next)
      return res
    }
    next()
  }
}

// lifecycle is what is usually written by hand: find, insert STARTED, run,
// update COMPLETED. Each is a statement and a commit of its own.
async function lifecycle () {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({ connectionString: address, max: 20 })
  await pool.query(`CREATE TABLE IF NOT EXISTS lifecycle_keys (
    key text PRIMARY KEY, status text NOT NULL, response jsonb, created_at timestamptz NOT NULL DEFAULT now())`)
  return async (req, res, next) => {
    const key = req.get('Idempotency-Key')
    const found = await pool.query({
      name: 'find', text: 'SELECT status, response FROM lifecycle_keys WHERE key = $1', values: [key]
    })
    if (found.rows.length > 0) {
      const { status, response } = found.rows[0]
      if (status === 'STARTED') {
        res.status(409).json({ error: 'in progress' })
      } else {
        res.status(response.status).json(response.body)
      }
      return
    }
    await pool.query({
      name: 'start', text: "INSERT INTO lifecycle_keys (key, status) VALUES ($1, 'STARTED')", values: [key]
    })
    const send = res.json.bind(res)
    res.json = (body) => {
      pool.query({
        name: 'complete',
        text: "UPDATE lifecycle_keys SET status = 'COMPLETED', response = $2 WHERE key = $1",
        values: [key, JSON.stringify({ status: res.statusCode, body })]
      }).then(() => send(body), next)
      return res
    }
    next()
  }
}

const guards = {
  bare: async () => (req, res, next) => next(),
  'node-idempotency': nodeIdempotency,
  lifecycle
}
if (!Object.hasOwn(guards, kind)) {
  console.error(`unknown server ${kind}; one of ${Object.keys(guards).join(', ')}`)
  process.exit(2)
}

const app = express()
app.disable('x-powered-by')
app.set('etag', false)
app.post('/v1/payments', express.json(), await guards[kind](), handler)
const server = app.listen(0, '127.0.0.1', (error) => {
  if (error) {
    throw error
  }
  console.log(`127.0.0.1:${server.address().port}`)
})
server.keepAliveTimeout = 0 // a server waits while the others are measured
server.headersTimeout = 0
process.stdin.resume() // its end means that the measuring program has gone
process.stdin.on('end', () => process.exit(0))
