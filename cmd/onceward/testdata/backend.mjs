// A backend in Node.js. POST counts and acts; the path says whether the first
// request of an operation waits for /release before it acts, or before it
// answers. It knows what it has done by operation id, as docs/proxy.md asks.
import http from 'node:http';

const seen = new Map(); // operation id -> what became of it
const fence = new Map(); // operation id -> highest token that asked or acted
let waiting = [];

function text(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'text/plain' });
  res.end(body);
}

function get(req, res, token) {
  if (req.url === '/seen') {
    res.end(JSON.stringify([...seen.entries()].map(([op, s]) => ({ op, ...s }))));
    return;
  }
  const op = req.url.slice('/status/'.length);
  if (token > (fence.get(op) ?? 0n)) fence.set(op, token);
  const s = seen.get(op);
  if (!s?.acts) return text(res, 404, '');
  res.setHeader('Onceward-Original-Status', '201');
  text(res, 200, s.answer);
}

function post(req, res, token, body) {
  if (req.url === '/release') {
    for (const go of waiting) go();
    waiting = [];
    return text(res, 200, 'released');
  }
  const op = req.headers['onceward-operation-id'];
  const s = seen.get(op) ?? { arrivals: 0, acts: 0, answered: 0, tokens: [], attempts: [], answer: '' };
  seen.set(op, s);
  const first = ++s.arrivals === 1;
  const answer = () => text(res.on('finish', () => s.answered++), 201, s.answer);
  const act = (then) => {
    if (token < (fence.get(op) ?? 0n)) return text(res, 409, 'fenced');
    fence.set(op, token);
    s.acts++;
    s.tokens.push(String(token));
    s.attempts.push(req.headers['onceward-attempt']);
    s.answer = `done ${body} ${s.acts}`;
    then();
  };
  if (first && req.url === '/wait-then-act') waiting.push(() => act(answer));
  else if (first && req.url === '/act-then-wait') act(() => waiting.push(answer));
  else act(answer);
}

const server = http.createServer((req, res) => {
  const chunks = [];
  req.on('data', (c) => chunks.push(c));
  req.on('end', () => {
    const token = BigInt(req.headers['onceward-token'] ?? 0);
    if (req.method === 'GET') get(req, res, token);
    else post(req, res, token, Buffer.concat(chunks).toString());
  });
});
server.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
process.stdin.on('end', () => process.exit()).resume(); // not longer than the test
