const BAR = 30

export interface Progress {
  /** How much of the total is done; the same unit as the total. */
  update(done: number): void
  /** Draws the last state and ends the line. Nothing is drawn after it. */
  end(): void
}

/**
 * Progress on standard error: one line that is drawn over on a terminal, a line per ten per cent elsewhere. A total of
 * 0 means unknown: then it counts.
 */
export function startProgress(
  label: string,
  total: number,
  stream: Pick<NodeJS.WriteStream, 'write' | 'isTTY'> = process.stderr,
): Progress {
  let drawn = -1
  let done = 0
  const draw = (step: number, end: string): void => {
    drawn = step
    stream.write(
      `${stream.isTTY ? '\r' : ''}${label} ${total > 0 ? bar(done / total) : done.toLocaleString('en-US')}${end}`,
    )
  }
  const steps = stream.isTTY ? 100 : 10
  const grain = Math.max(1, total > 0 ? total / steps : stream.isTTY ? 1_000 : 100_000)
  return {
    update(now) {
      done = now
      const step = Math.floor(now / grain)
      if (step > drawn) draw(step, stream.isTTY ? '' : '\n')
    },
    end() {
      if (stream.isTTY) draw(drawn, '\n')
      else if (Math.floor(done / grain) * grain !== done || drawn < 0) draw(drawn, '\n')
    },
  }
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, share) * BAR)
  return `[${'█'.repeat(full)}${'░'.repeat(BAR - full)}] ${Math.floor(Math.min(1, share) * 100)} %`
}
