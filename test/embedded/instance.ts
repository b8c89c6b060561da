/** One keyhound instance's database, for tests to kill: node instance.ts DATA_DIR. SIGTERM lets go of it. */
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'

const [dataDir = ''] = process.argv.slice(2)
const server = await startEmbeddedPostgres({
  dataDir,
  onNotice: (message) => process.stderr.write(`${message}\n`),
})
process.stdout.write(`${JSON.stringify({ url: server.url(), pid: server.pid, reused: server.reused })}\n`)
const alive = setInterval(() => {}, 60_000)
process.once('SIGTERM', () => {
  clearInterval(alive)
  void server.stop()
})
