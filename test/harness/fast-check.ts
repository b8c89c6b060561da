import fc from 'fast-check'

/**
 * fast-check as all tests use it. The same cases at every run, so that a change is never held up by what it did not do;
 * KEYHOUND_TEST_SEED=random (or a number) looks at others:
 *   for n in $(seq 20); do KEYHOUND_TEST_SEED=random npm test -- test/detect || break; done
 * A counterexample prints its seed; give it here to see it again.
 */
const wish = process.env['KEYHOUND_TEST_SEED'] ?? '1'
if (wish !== 'random') {
  const seed = Number(wish)
  if (!Number.isInteger(seed))
    throw new Error(`KEYHOUND_TEST_SEED is "${wish}": give an integer, or "random"`)
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed })
}

export default fc
