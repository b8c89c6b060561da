import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runKit, type Kit } from './kit.ts'
import { SeriesScorer } from './series-scorer.ts'

/** Runs the volume maths over NAB's series and returns NAB's final score by profile. */
export async function runNab(kit: Kit, directory: string): Promise<Readonly<Record<string, number>>> {
  await runKit(kit, 'nab/nab.mjs', ['export', '--out', directory])
  const files = (await readdir(directory, { recursive: true })).filter((file) => file.endsWith('.csv'))
  for (const file of files) {
    const path = join(directory, file)
    await writeFile(path, scoredSeries(await readFile(path, 'utf8')))
  }
  const scores = kit.scoreNab(directory)
  return Object.fromEntries(Object.entries(scores).map(([profile, { final }]) => [profile, final]))
}

/** `timestamp,value` lines with a third column, each row scored from the rows up to it. */
function scoredSeries(text: string): string {
  const scorer = new SeriesScorer()
  const [, ...rows] = text.trimEnd().split('\n')
  const scored = rows.map((row) => {
    const [timestamp = '', value = ''] = row.split(',')
    const score = scorer.add(Number(value), Date.parse(`${timestamp.replace(' ', 'T')}Z`))
    return `${row},${score.toPrecision(12)}`
  })
  return `timestamp,value,anomaly_score\n${scored.join('\n')}\n`
}
