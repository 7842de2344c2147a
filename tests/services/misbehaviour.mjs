// How a service misbehaves, switched over HTTP while it runs: the twin of misbehaviour.py, with the same keys, modes and answers.

import { setTimeout as sleep } from 'node:timers/promises';

export const MODES = [
  'ok', 'reset', 'close', 'half-close', 'hang', 'slow-body', 'long-length', 'short-length', 'html', 'invalid-utf8', 'invalid-json', 'huge',
  'endless', 'endless-head', 'garbage',
];

export const DEFAULTS = Object.freeze({
  mode: 'ok',
  latency_ms: 0,
  status: null,
  headers: {},
  next: null,
  share: 1,
  only: null,
  piece_bytes: 16,
  pause_ms: 100,
});

/** Requests whose head is kept for `GET /_control`. */
const REMEMBERED = 200;

/** The behaviour in force and a record of what was asked. */
export class Behaviour {
  constructor() {
    this.reset();
  }

  reset() {
    this.settings = DEFAULTS;
    this.credit = 0;
    this.counts = {};
    this.connections = 0;
    this.inFlight = 0;
    this.mostInFlight = 0;
    this.requests = [];
  }

  /** @throws {RangeError} when a key or the mode is unknown. */
  set(wanted) {
    const unknown = Object.keys(wanted).filter((key) => !(key in DEFAULTS));
    if (unknown.length > 0) throw new RangeError(`unknown keys: ${unknown.join(', ')}`);
    if (!MODES.includes(wanted.mode ?? 'ok')) throw new RangeError(`mode is one of ${MODES.join(', ')}`);
    this.settings = { ...DEFAULTS, ...wanted };
    this.credit = 0;
  }

  report() {
    return {
      behaviour: this.settings,
      counts: this.counts,
      total: Object.values(this.counts).reduce((sum, count) => sum + count, 0),
      connections: this.connections,
      in_flight: this.inFlight,
      most_in_flight: this.mostInFlight,
      requests: this.requests,
    };
  }

  /** Records a request and says how to treat it. */
  begin(method, path, headers) {
    this.counts[path] = (this.counts[path] ?? 0) + 1;
    this.requests = [...this.requests.slice(1 - REMEMBERED), { method, path, headers }];
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    const settings = this.settings;
    if (settings.only !== null && path.split('/').filter(Boolean).at(-1) !== settings.only) return DEFAULTS;
    if (settings.next !== null) {
      if (settings.next <= 0) return DEFAULTS;
      this.settings = { ...settings, next: settings.next - 1 };
    }
    // An accumulator instead of chance: 0.2 is exactly every fifth request.
    this.credit += settings.share;
    if (this.credit < 1 - 1e-9) return DEFAULTS;
    this.credit -= 1;
    return settings;
  }

  end() {
    this.inFlight -= 1;
  }
}

function head(status, headers) {
  const lines = [`HTTP/1.1 ${status} Status`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Writes the same piece until the other side hangs up. */
async function writeForever(socket, piece) {
  while (!socket.destroyed) {
    if (!socket.write(piece)) {
      await new Promise((resolve) => {
        socket.once('drain', resolve);
        socket.once('close', resolve);
      });
    }
  }
}

/** Ends our side, and waits until the other side has gone. */
async function endAndWait(socket, text) {
  socket.end(text);
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
}

/** Sends an answer as the behaviour wants it. */
export async function send(response, settings, status, mediaType, body, extra) {
  const { socket } = response;
  const { mode } = settings;
  if (settings.latency_ms > 0) await sleep(settings.latency_ms);
  if (settings.status !== null) {
    status = settings.status;
    mediaType = 'application/json';
    body = Buffer.from(JSON.stringify({ error: 'as told', status }));
  }
  if (mode === 'html') [mediaType, body] = ['text/html; charset=utf-8', Buffer.from('<!doctype html><title>Welcome</title><h1>It works</h1>')];
  if (mode === 'invalid-utf8') {
    [mediaType, body] = ['application/json', Buffer.concat([Buffer.from('{"resume": "'), Buffer.from([0xff, 0xfe, 0xc3]), Buffer.from('"}')])];
  }
  if (mode === 'invalid-json') [mediaType, body] = ['application/json', body.subarray(0, body.length / 2)];
  const headers = { 'content-type': mediaType, 'content-length': body.length, ...extra, ...settings.headers };
  switch (mode) {
    case 'reset':
      socket.resetAndDestroy();
      return;
    case 'close':
      socket.destroy();
      return;
    case 'hang':
      await new Promise((resolve) => socket.once('close', resolve));
      return;
    case 'half-close':
      await endAndWait(socket, Buffer.concat([Buffer.from(head(status, headers)), body.subarray(0, body.length / 2)]));
      return;
    case 'long-length':
      socket.end(head(status, { ...headers, 'content-length': body.length + 100 }) + body);
      return;
    case 'short-length':
      socket.end(head(status, { ...headers, 'content-length': Math.floor(body.length / 2) }) + body);
      return;
    case 'slow-body':
      response.writeHead(status, headers);
      response.flushHeaders();
      for (let start = 0; start < body.length && !socket.destroyed; start += settings.piece_bytes) {
        await sleep(settings.pause_ms);
        response.write(body.subarray(start, start + settings.piece_bytes));
      }
      response.end();
      return;
    case 'huge':
      socket.write(`${head(status, { ...headers, 'content-length': 10e9 })}{"filler": "`);
      await writeForever(socket, Buffer.alloc(65536, 'a'));
      return;
    case 'endless':
      socket.write(head(status, { 'content-type': mediaType, 'transfer-encoding': 'chunked' }));
      await writeForever(socket, `4000\r\n${' '.repeat(0x4000)}\r\n`);
      return;
    case 'endless-head':
      socket.write('HTTP/1.1 200 Status\r\n');
      await writeForever(socket, `x-filler: ${'a'.repeat(1024)}\r\n`);
      return;
    case 'garbage':
      socket.end(Buffer.from('\x16\x03\x01 this is no HTTP\n\n', 'latin1'));
      return;
    default:
      response.writeHead(status, headers);
      response.end(body);
  }
}
