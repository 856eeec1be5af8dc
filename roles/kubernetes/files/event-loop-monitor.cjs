// SPDX-License-Identifier: GPL-3.0-or-later
// How late an application's event loop is, for Prometheus: NODE_OPTIONS="--require /path/event-loop-monitor.cjs"
// The application must run as if this file were not there: nothing here keeps the process alive, writes to stdout,
// throws into it or uses the http module, which tracing tools instrument. From the environment:
//   EVENT_LOOP_MONITOR_PORT           of GET /metrics (default 9465)
//   EVENT_LOOP_MONITOR_HOST           the address to listen on (default 0.0.0.0)
//   EVENT_LOOP_MONITOR_WINDOW_SECONDS what the gauges cover at least; at most it is twice that (default 30)
'use strict'

const cluster = require('cluster')
const fs = require('fs')
const net = require('net')
const path = require('path')
const { constants, monitorEventLoopDelay, performance, PerformanceObserver } = require('perf_hooks')
const { isMainThread } = require('worker_threads')

const OLDEST_NODE = 18
const RESOLUTION_MS = 20
const REQUEST_BYTES = 8192
const REQUEST_MS = 5000
const CONNECTIONS = 32

// Programs that start the application as a process of their own, which inherits NODE_OPTIONS: the port is for that one.
const LAUNCHERS = [
  'npm npx pnpm pnpx yarn yarnpkg corepack concurrently cross-env cross-env-shell dotenv env-cmd nest nodemon',
  'npm-run-all run-p run-s pm2-runtime ts-node-dev tsx turbo',
].join(' ').replace(/ /g, '|')
// Such as npm, npm-cli.js and yarn-4.1.0.cjs.
const LAUNCHER = new RegExp(`^(${LAUNCHERS})(-cli)?(-\\d[\\w.-]*)?(\\.[cm]?js)?$`)

const GC_KINDS = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
}

function number(name, otherwise, least, most) {
  const given = process.env[name]
  const value = given ? Number(given) : otherwise
  if (!(value >= least && value <= most)) throw new Error(`${name} is not a number from ${least} to ${most}: ${given}`)
  return value
}

function say(error) {
  // process.stderr would raise an error of its own in the application where nobody reads it.
  try {
    fs.writeSync(2, `event-loop-monitor: not monitoring: ${String(error.message).replace(/\s+/g, ' ')}\n`)
  } catch (_) {}
}

// Two overlapping windows, of which the older is told: a scrape resets nothing, so that any number of scrapers see the
// same, and what happened since a scrape less than a window ago is always in the next one.
class Windows {
  constructor(seconds) {
    this.older = this.begin()
    this.newer = this.begin()
    setInterval(() => this.rotate(), seconds * 1000).unref()
  }

  begin() {
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    delay.enable()
    return { delay, utilization: performance.eventLoopUtilization() }
  }

  rotate() {
    const { older, newer } = this
    older.delay.reset()
    older.utilization = performance.eventLoopUtilization()
    this.older = newer
    this.newer = older
  }

  // The histogram is of the whole time from one tick of a timer to the next; the lag is what it was late by.
  lags() {
    const { delay } = this.older
    const seconds = (nanoseconds) => (delay.count ? Math.max(0, Math.round(nanoseconds)) / 1e9 : NaN)
    const late = (nanoseconds) => seconds(nanoseconds - RESOLUTION_MS * 1e6)
    return {
      min: late(delay.min),
      max: late(delay.max),
      mean: late(delay.mean),
      stddev: seconds(delay.stddev),
      p50: late(delay.percentile(50)),
      p90: late(delay.percentile(90)),
      p99: late(delay.percentile(99)),
    }
  }

  utilization() {
    return performance.eventLoopUtilization(this.older.utilization).utilization
  }
}

class Collections {
  constructor() {
    this.kinds = new Map(Object.values(GC_KINDS).map((kind) => [kind, { seconds: 0, count: 0 }]))
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => this.add(entry))).observe({ entryTypes: ['gc'] })
  }

  add({ detail, duration }) {
    const total = this.kinds.get(GC_KINDS[detail.kind])
    if (!total) return
    total.seconds += duration / 1000
    total.count += 1
  }
}

function metric(name, type, help, samples) {
  const lines = Object.entries(samples).map(([suffix, value]) => `${name}${suffix} ${value}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

function metrics(windows, collections) {
  const lags = Object.entries(windows.lags()).map(([what, value]) =>
    metric(`nodejs_eventloop_lag_${what}_seconds`, 'gauge', `How late the event loop was: ${what} of a window.`, { '': value }),
  )
  const collected = {}
  for (const [kind, total] of collections.kinds) {
    collected[`_sum{kind="${kind}"}`] = total.seconds
    collected[`_count{kind="${kind}"}`] = total.count
  }
  return [
    ...lags,
    metric('nodejs_eventloop_utilization', 'gauge', 'The share of a window in which the event loop was busy.', {
      '': windows.utilization(),
    }),
    metric('nodejs_gc_duration_seconds', 'summary', 'Garbage collections by kind: major, minor, incremental or weakcb.', collected),
  ].join('')
}

function response(status, body = '', header = '') {
  const type = 'Content-Type: text/plain; version=0.0.4; charset=utf-8'
  const length = `Content-Length: ${Buffer.byteLength(body)}`
  return `HTTP/1.1 ${status}\r\n${header}${type}\r\n${length}\r\nConnection: close\r\n\r\n${body}`
}

function answer(head, read) {
  const [, method, target] = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r\n/.exec(head) || []
  if (!method) return response('400 Bad Request')
  if (target.split('?')[0] !== '/metrics') return response('404 Not Found')
  if (method !== 'GET') return response('405 Method Not Allowed', '', 'Allow: GET\r\n')
  return response('200 OK', read())
}

function serve(socket, read) {
  let head = ''
  const take = (chunk) => {
    head += chunk
    if (!head.includes('\r\n\r\n')) {
      if (head.length > REQUEST_BYTES) socket.destroy()
      return
    }
    // What still comes, such as a body, is read and dropped: unread, it would reset the connection under the answer.
    socket.off('data', take).resume()
    try {
      socket.end(answer(head, read))
    } catch (_) {
      socket.destroy()
    }
  }
  socket.unref()
  const end = setTimeout(() => socket.destroy(), REQUEST_MS).unref()
  socket.on('close', () => clearTimeout(end))
  socket.on('error', () => socket.destroy())
  socket.setEncoding('latin1').on('data', take)
}

function listen(read, port, host) {
  const server = net.createServer((socket) => serve(socket, read))
  server.maxConnections = CONNECTIONS
  server.on('error', (error) => {
    // Where it listens already, a connection failed, and the next may not. Of a cluster, the first process to ask has the
    // port: as a rule the primary.
    if (!server.listening && !(cluster.isWorker && error.code === 'EADDRINUSE')) say(error)
  })
  // Exclusive: in a cluster the primary would else hand connections to any of the workers.
  server.unref().listen({ port, host, exclusive: true })
}

function start() {
  if (parseInt(process.versions.node, 10) < OLDEST_NODE) throw new Error(`Node.js ${OLDEST_NODE} or later is needed`)
  const port = number('EVENT_LOOP_MONITOR_PORT', 9465, 1, 65535)
  const windows = new Windows(number('EVENT_LOOP_MONITOR_WINDOW_SECONDS', 30, 1, 3600))
  const collections = new Collections()
  listen(() => metrics(windows, collections), port, process.env.EVENT_LOOP_MONITOR_HOST || '0.0.0.0')
}

if (isMainThread && !LAUNCHER.test(path.basename(process.argv[1] || ''))) {
  try {
    start()
  } catch (error) {
    say(error)
  }
}
