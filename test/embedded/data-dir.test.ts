import { describe, expect, test } from 'vitest'
import { dataDirectory } from '../../src/embedded/data-dir.ts'

describe('the data directory', () => {
  const homeDirectory = '/home/ana'
  test.each([
    ['root has it in /var/lib', {}, 0, '/var/lib/keyhound'],
    ['a user has it in the state directory of the home', {}, 1000, '/home/ana/.local/state/keyhound'],
    ['XDG_STATE_HOME moves a user’s', { XDG_STATE_HOME: '/data' }, 1000, '/data/keyhound'],
    [
      'a relative XDG_STATE_HOME is ignored',
      { XDG_STATE_HOME: 'data' },
      1000,
      '/home/ana/.local/state/keyhound',
    ],
    ['XDG_STATE_HOME does not move root’s', { XDG_STATE_HOME: '/data' }, 0, '/var/lib/keyhound'],
    ['KEYHOUND_DATA_DIR wins', { KEYHOUND_DATA_DIR: '/kh', XDG_STATE_HOME: '/data' }, 0, '/kh'],
    ['an empty KEYHOUND_DATA_DIR counts as none', { KEYHOUND_DATA_DIR: '' }, 0, '/var/lib/keyhound'],
  ])('%s', (_, env, uid, expected) => {
    expect(dataDirectory({ env, uid, homeDirectory })).toBe(expected)
  })
})
