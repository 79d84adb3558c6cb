// Titrate's Node.js client of the Lambda Runtime API, for Node.js 18 and later, without dependencies.
//
// It reads AWS_LAMBDA_RUNTIME_API, _HANDLER and LAMBDA_TASK_ROOT, loads the handler once, then asks for one invocation after another.
// Sources: "Using the Lambda runtime API for custom runtimes", "Define Lambda function handler in Node.js", "Using the Lambda context
// object to retrieve Node.js function information", "Response streaming for Lambda functions" in AWS's Lambda developer guide.
//
// With --check it only loads the handler, writes the outcome as JSON to file descriptor 3 and ends.

import fs from 'node:fs';
import http from 'node:http';
import nodeModule from 'node:module';
import path from 'node:path';
import util from 'node:util';
import { Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const env = process.env;
const API = '/2018-06-01/runtime';
const STREAMED = Symbol.for('aws.lambda.runtime.handler.streaming');
const HTTP_STREAM = 'application/vnd.awslambda.http-integration-response';
const exitNow = process.exit.bind(process);

// ---- errors, as AWS formats them

class RuntimeError extends Error {
  constructor(name, message, cause) {
    super(message);
    this.name = name;
    if (cause?.stack) this.stack = `${name}: ${message}\n${cause.stack}`;
  }
}

function describe(err) {
  try {
    if (err instanceof Error || util.types.isNativeError(err)) {
      return { errorType: String(err.name), errorMessage: String(err.message), trace: String(err.stack ?? '').split('\n') };
    }
    return { errorType: err === null ? 'null' : typeof err, errorMessage: String(err), trace: [] };
  } catch {
    return { errorType: 'Error', errorMessage: 'an error that cannot be described', trace: [] };
  }
}

// A header may hold visible ASCII only.
const headerSafe = (s) => s.replace(/[^\x20-\x7e]/g, '?').slice(0, 1024);

// ---- console: every line at once and under the id of its request

let current = null; // the invocation in hand
let dying = false; // an error nobody caught was met: nothing else is said to the host
let loading = false; // the handler's file is being read
let ready = false; // the handler is loaded: no error is one of init any more

function writeAll(fd, text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(fd, rest));
    } catch (err) {
      // A full pipe in non-blocking mode says EAGAIN: wait a little without giving the loop away. Any other error means nobody reads.
      if (err.code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

function takeConsole() {
  const levels = { log: 'INFO', info: 'INFO', debug: 'DEBUG', trace: 'TRACE', warn: 'WARN', error: 'ERROR' };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...args) => {
      const text = util.format(...args);
      writeAll(1, `${new Date().toISOString()}\t${current?.id ?? 'undefined'}\t${level}\t${text}\n`);
    };
  }
}

// ---- the Runtime API

const agent = new http.Agent({ keepAlive: true });

function target() {
  const at = env.AWS_LAMBDA_RUNTIME_API ?? '';
  const cut = at.lastIndexOf(':');
  if (cut < 0) return { host: at, port: 80 };
  return { host: at.slice(0, cut).replace(/^\[|\]$/g, ''), port: Number(at.slice(cut + 1)) };
}

function begin(method, where, headers, onResponse, onError) {
  const req = http.request({ ...target(), method, path: API + where, headers, agent }, onResponse);
  req.on('error', onError);
  return req;
}

function drain(res, done, failed) {
  const parts = [];
  res.on('data', (b) => parts.push(b));
  res.on('end', () => done(Buffer.concat(parts).toString('utf8')));
  res.on('error', failed);
}

function call(method, where, headers, body) {
  return new Promise((resolve, reject) => {
    const req = begin(method, where, headers, (res) => {
      drain(res, (text) => resolve({ status: res.statusCode, headers: res.headers, text }), reject);
    }, reject);
    req.end(body);
  });
}

function post(where, body, headers = {}) {
  const bytes = Buffer.from(body);
  return call('POST', where, { 'Content-Type': 'application/json', 'Content-Length': bytes.length, ...headers }, bytes);
}

function postError(where, err) {
  const what = describe(err);
  return post(where, JSON.stringify(what), { 'Lambda-Runtime-Function-Error-Type': headerSafe(what.errorType) });
}

// The host is gone or broken: there is nobody to tell but the log.
function hostLost(err) {
  writeAll(2, `titrate: the Runtime API at ${env.AWS_LAMBDA_RUNTIME_API} did not answer: ${err?.message ?? err}\n`);
  exitNow(1);
}

// ---- the handler

function resolveModule(base) {
  for (const ext of ['', '.js', '.mjs', '.cjs']) {
    if (fs.statSync(base + ext, { throwIfNoEntry: false })?.isFile()) return base + ext;
  }
  return null;
}

// What code says lies in /opt is where the layers of this version are, unless the machine has it.
function layersAt(dir) {
  const moved = (name) => (typeof name === 'string' && name.startsWith('/opt/') && !fs.existsSync(name) ? path.join(dir, name.slice('/opt/'.length)) : name);
  const resolve = nodeModule._resolveFilename;
  nodeModule._resolveFilename = function (name, ...rest) {
    return resolve.call(this, moved(name), ...rest);
  };
  nodeModule.registerHooks?.({ resolve: (name, context, next) => next(name.startsWith('/opt/') ? pathToFileURL(moved(name)).href : name, context) });
}

async function load(root, handler) {
  if (env.TITRATE_LAYERS) layersAt(env.TITRATE_LAYERS);
  if (!handler || handler.split('/').includes('..')) {
    throw new RuntimeError('Runtime.MalformedHandlerName', `'${handler}' is not a valid handler name: write file.export, inside the folder`);
  }
  const dir = path.dirname(handler);
  const [, file, name] = /^([^.]+)\.(.+)$/.exec(path.basename(handler)) ?? [];
  if (!file) throw new RuntimeError('Runtime.MalformedHandlerName', `'${handler}' is not a valid handler name: write file.export`);
  const module = path.join(dir, file);
  const found = resolveModule(path.join(path.resolve(root), module));
  if (!found) throw new RuntimeError('Runtime.ImportModuleError', `Error: Cannot find module '${module}' (.js, .mjs, .cjs) in ${root}`);
  let loaded;
  loading = true;
  try {
    loaded = await import(pathToFileURL(found).href);
  } catch (err) {
    if (err instanceof SyntaxError) throw new RuntimeError('Runtime.UserCodeSyntaxError', String(err), err);
    if (err?.code === 'MODULE_NOT_FOUND' || err?.code === 'ERR_MODULE_NOT_FOUND') {
      throw new RuntimeError('Runtime.ImportModuleError', String(err), err);
    }
    throw err;
  } finally {
    loading = false;
  }
  // The names of a CommonJS module that are made at run time (bundlers do that) are seen on its default only.
  const pick = (from) => name.split('.').reduce((at, key) => at?.[key], from);
  const fn = pick(loaded) ?? pick(loaded.default);
  if (fn === undefined || fn === null) throw new RuntimeError('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  if (typeof fn !== 'function') throw new RuntimeError('Runtime.HandlerNotFound', `${handler} is not a function`);
  return fn;
}

// ---- response streaming

class ResponseStream extends Writable {
  #req = null;
  #type = 'application/octet-stream';
  #failure = null;

  constructor(id) {
    super({ highWaterMark: 64 * 1024 });
    this.id = id;
    this.answered = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.refuse = reject;
    });
    this.answered.catch(() => {}); // awaited by serve; a stream that never began has no answer
  }

  get begun() { return this.#req !== null; }

  setContentType(type) {
    if (!this.begun) this.#type = type;
  }

  #open() {
    if (this.#req) return this.#req;
    this.#req = begin('POST', `/invocation/${this.id}/response`, {
      'Content-Type': this.#type,
      'Lambda-Runtime-Function-Response-Mode': 'streaming',
      'Transfer-Encoding': 'chunked',
      Trailer: 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body',
    }, (res) => drain(res, this.settle, this.refuse), this.refuse);
    this.#req.flushHeaders();
    return this.#req;
  }

  _write(chunk, encoding, done) {
    let bytes = chunk;
    if (!(bytes instanceof Uint8Array)) bytes = Buffer.from(String(chunk), encoding === 'buffer' ? 'utf8' : encoding);
    if (this.#open().write(bytes)) done();
    else this.#req.once('drain', done);
  }

  _final(done) {
    this.#close();
    done();
  }

  #close() {
    const req = this.#open();
    if (this.#failure) {
      req.addTrailers({
        'Lambda-Runtime-Function-Error-Type': headerSafe(this.#failure.errorType),
        'Lambda-Runtime-Function-Error-Body': Buffer.from(JSON.stringify(this.#failure)).toString('base64'),
      });
    }
    req.end();
  }

  // What was sent is sent: an error after it travels in the trailers.
  failWith(err) {
    this.#failure = describe(err);
    // A stream that a broken pipeline destroyed does not come to its end by itself; one that was ended already did.
    if (this.destroyed && !this.writableFinished) this.#close();
    else this.end();
  }
}

globalThis.awslambda = {
  streamifyResponse(handler, options) {
    handler[STREAMED] = 'response';
    if (options?.highWaterMark !== undefined) handler[Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')] = options.highWaterMark;
    return handler;
  },
  HttpResponseStream: {
    from(stream, prelude) {
      stream.setContentType(HTTP_STREAM);
      // The prelude is JSON and ends with eight zero bytes.
      stream.write(JSON.stringify(prelude ?? {}));
      stream.write(Buffer.alloc(8));
      return stream;
    },
  },
};

// ---- one invocation

function parseHeader(text) {
  return text ? JSON.parse(text) : undefined;
}

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parseHeader(headers['lambda-runtime-client-context']),
    identity: parseHeader(headers['lambda-runtime-cognito-identity']),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

// answerOf calls a buffered handler and settles with its answer, whichever way it gives it: a promise, the callback, the old methods
// of context, or the end of all its work, which answers null as AWS does up to Node.js 22.
function answerOf(fn, event, context, invocation) {
  return new Promise((resolve, reject) => {
    const callback = (err, value) => {
      const settle = () => (err === undefined || err === null ? resolve(value) : reject(err));
      if (context.callbackWaitsForEmptyEventLoop) invocation.whenEmpty ??= settle;
      else settle();
    };
    const atOnce = (err, value) => {
      context.callbackWaitsForEmptyEventLoop = false;
      callback(err, value);
    };
    context.done = atOnce;
    context.succeed = (value) => atOnce(null, value);
    context.fail = (err) => atOnce(err ?? new Error('handled'));
    invocation.idle = () => (invocation.whenEmpty ? invocation.whenEmpty() : resolve(null));
    const result = fn(event, context, callback);
    if (typeof result?.then === 'function') result.then(resolve, reject);
  });
}

function encode(value) {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch (err) {
    throw new RuntimeError('Runtime.MarshalError', `Unable to stringify response body: ${err.message}`, err);
  }
}

async function stream(fn, event, context, invocation) {
  const out = new ResponseStream(invocation.id);
  invocation.stream = out;
  const stuck = new Promise((_, reject) => {
    invocation.idle = () => reject(new RuntimeError('Runtime.StreamError', 'the handler ended all its work and left its response stream open'));
  });
  const closed = new Promise((resolve, reject) => {
    out.once('finish', resolve);
    out.once('error', reject);
    out.once('close', () => reject(new RuntimeError('Runtime.StreamError', 'the response stream was destroyed before its end')));
    out.answered.catch(reject); // the host is gone
  });
  // A stream that broke ends the invocation, whether or not the handler comes back.
  const broken = new Promise((_, reject) => { closed.catch(reject); });
  try {
    await Promise.race([(async () => {
      await fn(event, out, context);
      await closed;
    })(), stuck, broken]);
  } catch (err) {
    console.error('Invoke Error', JSON.stringify(describe(err)));
    if (!out.begun) return postError(`/invocation/${invocation.id}/error`, err);
    out.failWith(err);
  }
  return out.answered;
}

async function buffered(fn, event, context, invocation) {
  let body;
  try {
    body = encode(await answerOf(fn, event, context, invocation));
  } catch (err) {
    console.error('Invoke Error', JSON.stringify(describe(err)));
    return postError(`/invocation/${invocation.id}/error`, err);
  }
  invocation.idle = null;
  if (dying) return undefined;
  return post(`/invocation/${invocation.id}/response`, body);
}

async function serve(fn) {
  for (;;) {
    const next = await call('GET', '/invocation/next', {});
    if (next.status === 410) return exitNow(0); // there is no more work
    if (next.status !== 200) throw new Error(`GET /invocation/next said ${next.status}`);
    const invocation = { id: next.headers['lambda-runtime-aws-request-id'], idle: null, whenEmpty: null };
    current = invocation;
    const trace = next.headers['lambda-runtime-trace-id'];
    if (trace) env._X_AMZN_TRACE_ID = trace;
    else delete env._X_AMZN_TRACE_ID;
    let event, context;
    try {
      event = JSON.parse(next.text);
      context = contextOf(next.headers);
    } catch (err) {
      await postError(`/invocation/${invocation.id}/error`, new RuntimeError('Runtime.UnmarshalError', `Unable to read the event: ${err.message}`, err));
      continue;
    }
    await (fn[STREAMED] ? stream : buffered)(fn, event, context, invocation);
    if (dying) return;
    current = null;
  }
}

// ---- the life of the process

// An error nobody caught leaves the program in an unknown state: tell the host, then end, so that the next request gets a fresh one.
function fatal(err, code) {
  if (dying) return undefined;
  dying = true;
  writeAll(2, `${new Date().toISOString()}\t${current?.id ?? 'undefined'}\tERROR\tUncaught\t${JSON.stringify(describe(err))}\n`);
  const end = () => exitNow(code);
  if (current?.stream?.begun) {
    current.stream.failWith(err);
    current.stream.answered.then(end, end);
    return undefined;
  }
  // Between two invocations there is no request to fail: the exit code and the log say it.
  if (ready && !current) return end();
  return postError(current ? `/invocation/${current.id}/error` : '/init/error', err).then(end, end);
}

async function check() {
  const tell = (outcome, code) => {
    fs.writeSync(3, JSON.stringify(outcome));
    exitNow(code);
  };
  process.on('uncaughtException', (err) => tell(describe(err), 1));
  process.on('unhandledRejection', (err) => tell(describe(err), 1));
  try {
    await load(env.LAMBDA_TASK_ROOT ?? process.cwd(), env._HANDLER);
  } catch (err) {
    return tell(describe(err), 1);
  }
  return tell({ loaded: true }, 0);
}

async function main() {
  takeConsole();
  process.on('uncaughtException', (err) => fatal(err, 129));
  process.on('unhandledRejection', (reason) => {
    const err = new RuntimeError('Runtime.UnhandledPromiseRejection', String(describe(reason).errorMessage), reason);
    fatal(err, 128);
  });
  process.on('beforeExit', () => {
    if (loading) return void fatal(new RuntimeError('Runtime.ExitError', 'the event loop ended before the handler was loaded'), 1);
    const idle = current?.idle;
    if (!idle) return undefined;
    current.idle = null;
    return void setImmediate(idle);
  });
  let fn;
  try {
    fn = await load(env.LAMBDA_TASK_ROOT ?? process.cwd(), env._HANDLER);
  } catch (err) {
    if (dying) return;
    writeAll(2, `${new Date().toISOString()}\tundefined\tERROR\tInit Error\t${JSON.stringify(describe(err))}\n`);
    await postError('/init/error', err).catch(hostLost);
    exitNow(1);
  }
  if (dying) return;
  ready = true;
  await serve(fn).catch(hostLost);
}

// Without await: a handler that leaves nothing to wait for must reach beforeExit, not the end of an unsettled module.
void (process.argv[2] === '--check' ? check() : main());
