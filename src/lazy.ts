/** The value of `make`, made when it is first asked for: what takes long to make must not hold up a start. */
export function lazy<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined
  return () => (made ??= { value: make() }).value
}
