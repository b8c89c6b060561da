/** The value of `make`, made when it is first asked for: what takes long to make must not hold up a start. */
export function lazy<Value extends object>(make: () => Value): () => Value {
  let made: Value | undefined
  return () => (made ??= make())
}
