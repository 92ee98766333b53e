// A backend in Node.js: POST counts and acts, in a way the path chooses.
// It knows what it has done by operation id, as docs/proxy.md asks.
import http from 'node:http';

const seen = new Map(); // operation id -> {acts, tokens, attempts, answer}
const fence = new Map(); // operation id -> highest token that asked or acted
let waiting = [];

const server = http.createServer((req, res) => {
  const chunks = [];
  req.on('data', (c) => chunks.push(c));
  req.on('end', () => {
    const id = req.headers['onceward-operation-id'];
    const token = BigInt(req.headers['onceward-token'] ?? 0);
    const url = new URL(req.url, 'http://x');
    if (req.method === 'GET' && url.pathname === '/seen') {
      res.end(JSON.stringify([...seen.entries()].map(([op, s]) => ({ op, ...s }))));
      return;
    }
    if (req.method === 'POST' && url.pathname === '/release') {
      for (const go of waiting) go();
      waiting = [];
      res.end('released');
      return;
    }
    if (req.method === 'GET' && url.pathname.startsWith('/status/')) {
      const op = url.pathname.slice('/status/'.length);
      if (token > (fence.get(op) ?? 0n)) fence.set(op, token);
      const s = seen.get(op);
      if (!s) { res.statusCode = 404; res.end(); return; }
      res.setHeader('Onceward-Original-Status', '201');
      res.setHeader('Content-Type', 'text/plain');
      res.end(s.answer);
      return;
    }
    if (token < (fence.get(id) ?? 0n)) { res.statusCode = 409; res.end('fenced'); return; }
    fence.set(id, token);
    const act = () => {
      const s = seen.get(id) ?? { acts: 0, tokens: [], attempts: [], answer: '' };
      s.acts++;
      s.tokens.push(String(token));
      s.attempts.push(req.headers['onceward-attempt']);
      s.answer = `done ${Buffer.concat(chunks).toString()} ${s.acts}`;
      seen.set(id, s);
      return s.answer;
    };
    if (url.pathname === '/act-then-wait') {
      const answer = act();
      waiting.push(() => { res.statusCode = 201; res.setHeader('Content-Type', 'text/plain'); res.end(answer); });
      if (seen.get(id).acts > 1) waiting.pop()();
      return;
    }
    res.statusCode = 201;
    res.setHeader('Content-Type', 'text/plain');
    res.end(act());
  });
});
server.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
process.stdin.on('end', () => process.exit()).resume(); // not longer than the test
