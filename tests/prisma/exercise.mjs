// SPDX-License-Identifier: GPL-3.0-or-later
// An application on Prisma: concurrent requests, transactions and raw queries, and one line of JSON on what it did.
// It runs in a folder that tools/prisma.sh made, and takes its packages from there. From the environment:
//   DATABASE_URL              the server or the pooler
//   DATABASE_POOL_MAX         connections of this process at most (default 5)
//   DATABASE_NAMED_STATEMENTS "no" leaves statements without names, as the adapter does by default
//   EXERCISE_REQUESTS         requests at the same time (default 40)
import { createHash, randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(join(process.cwd(), 'package.json'))

class Expected extends Error {}

function whole(name, otherwise) {
  const value = Number(process.env[name] ?? otherwise)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} must be a whole number from 1`)
  return value
}

function check(condition, what) {
  if (!condition) throw new Error(`not as it should be: ${what}`)
}

const names = new Set()
function nameOf(sql) {
  const name = `retune_${createHash('sha256').update(sql).digest('hex').slice(0, 16)}`
  names.add(name)
  return name
}

// Prisma 7 asks for a statement's name; with Prisma 6 the driver's own client has to add it.
function adapterFor(major, config, named) {
  const { PrismaPg } = require('@prisma/adapter-pg')
  if (!named) return new PrismaPg(config)
  if (major >= 7) return new PrismaPg(config, { statementNameGenerator: (query) => nameOf(query.sql) })
  const pg = require('pg')
  class NamingClient extends pg.Client {
    query(query, ...rest) {
      const plain = typeof query?.text === 'string' && typeof query.submit !== 'function'
      return super.query(plain ? { ...query, name: nameOf(query.text) } : query, ...rest)
    }
  }
  return new PrismaPg(new pg.Pool({ ...config, Client: NamingClient }), { disposeExternalPool: true })
}

async function refused(promise, isExpected) {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  )
  check(error !== undefined, 'a transaction that had to fail was committed')
  if (!isExpected(error)) throw error
}

async function exercise() {
  const requests = whole('EXERCISE_REQUESTS', 40)
  const max = whole('DATABASE_POOL_MAX', 5)
  const named = process.env.DATABASE_NAMED_STATEMENTS !== 'no'
  const { PrismaClient, Prisma } = require('@prisma/client')
  const version = Prisma.prismaVersion.client
  const config = { connectionString: process.env.DATABASE_URL, max, connectionTimeoutMillis: 30_000 }
  const prisma = new PrismaClient({
    adapter: adapterFor(Number.parseInt(version, 10), config, named),
    errorFormat: 'minimal',
    transactionOptions: { maxWait: 30_000, timeout: 30_000 },
  })
  const run = randomUUID()
  const email = (name) => `${name}.${run}@example.com`
  const counts = { created: 0, found: 0, updated: 0, committed: 0, rolled_back: 0, batches: 0, batches_refused: 0, raw: 0 }

  async function request(number) {
    const lead = await prisma.lead.create({ data: { run, email: email(number), score: number } })
    counts.created += 1
    const found = await prisma.lead.findMany({ where: { run, email: lead.email }, include: { events: true } })
    check(found.length === 1 && found[0].id === lead.id && found[0].events.length === 0, 'a lead is found by its own request')
    counts.found += found.length
    const updated = await prisma.lead.update({ where: { id: lead.id }, data: { status: 'contacted', score: { increment: 100 } } })
    check(updated.score === number + 100, 'an update answers with the new row')
    counts.updated += 1

    const events = await prisma.$transaction(async (tx) => {
      await tx.event.create({ data: { leadId: lead.id, kind: 'interactive' } })
      await tx.lead.update({ where: { id: lead.id }, data: { score: { increment: 1_000 } } })
      return tx.event.count({ where: { leadId: lead.id } })
    })
    check(events === 1, 'a transaction sees what it wrote')
    counts.committed += 1

    await refused(
      prisma.$transaction(async (tx) => {
        await tx.lead.create({ data: { run, email: email(`thrown-${number}`) } })
        await tx.lead.update({ where: { id: lead.id }, data: { status: 'thrown' } })
        throw new Expected()
      }),
      (error) => error instanceof Expected,
    )
    counts.rolled_back += 1

    await prisma.$transaction([
      prisma.event.create({ data: { leadId: lead.id, kind: 'batch' } }),
      prisma.lead.update({ where: { id: lead.id }, data: { score: { increment: 10_000 } } }),
    ])
    counts.batches += 1
    await refused(
      prisma.$transaction([
        prisma.event.create({ data: { leadId: lead.id, kind: 'refused' } }),
        prisma.lead.create({ data: { run, email: lead.email } }),
      ]),
      (error) => error.code === 'P2002', // the address is taken
    )
    counts.batches_refused += 1

    const rows = await prisma.$queryRaw`select score, status from leads where id = ${lead.id}`
    check(rows.length === 1 && rows[0].score === number + 11_100 && rows[0].status === 'contacted', 'a raw query sees the row')
    const changed = await prisma.$executeRaw`update leads set status = ${'quoted'} where id = ${lead.id}`
    check(changed === 1, 'a raw statement changes one row')
    counts.raw += 2
  }

  await Promise.all(Array.from({ length: requests }, (_, number) => request(number)))
  // What one connection to the server holds after all that; a pooler may have given the statements names of its own.
  const [held] = await prisma.$queryRaw`
    select count(*)::int as held, count(*) filter (where generic_plans + custom_plans > 1)::int as reused
    from pg_prepared_statements where not from_sql`
  await prisma.$disconnect()
  return { prisma: version, run, requests, ...counts, statements: { named: names.size, ...held } }
}

// The address of the database holds a password: it has no place in a message.
function withoutSecrets(message) {
  const address = process.env.DATABASE_URL ?? ''
  let secrets = [address]
  try {
    const { password } = new URL(address)
    secrets = [address, password, decodeURIComponent(password)]
  } catch {
    return 'DATABASE_URL is no address of a database'
  }
  return secrets.filter(Boolean).reduce((text, secret) => text.replaceAll(secret, '***'), message)
}

try {
  console.log(JSON.stringify(await exercise()))
} catch (error) {
  const code = error.code ? ` ${error.code}` : ''
  console.error(withoutSecrets(`${error.name}${code}: ${error.message}`.replaceAll(/\s+/g, ' ')))
  // Other requests may wait for locks that the failed one has left: they end with the process.
  process.exit(1)
}
