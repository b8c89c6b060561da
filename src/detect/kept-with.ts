/** What follows from an object alone and is worth remembering: it goes when the object goes. */
export interface KeptWith<Owner extends object, Value> {
  get(owner: Owner): Value | undefined
  set(owner: Owner, value: Value): void
}

/** Constructs the object that it is given, so that a derived class adds its private field to it. */
class Same {
  constructor(owner: object) {
    return owner
  }
}

/**
 * As a WeakMap, but what is remembered is in a private field of its owner, which nothing else sees: no copy, JSON or
 * comparison has it. To the garbage collector it is a field. The entries of a WeakMap it goes through in each
 * collection, young ones too, and a dozen of them for each profile of a large fleet cost more than what they save.
 */
export function keptWith<Owner extends object, Value>(): KeptWith<Owner, Value> {
  class Kept extends Same {
    #value: Value | undefined

    constructor(owner: Owner, value: Value) {
      super(owner)
      this.#value = value
    }

    static get(owner: Owner): Value | undefined {
      return #value in owner ? owner.#value : undefined
    }

    static set(owner: Owner, value: Value): void {
      if (#value in owner) owner.#value = value
      else new Kept(owner, value)
    }
  }
  return Kept
}
