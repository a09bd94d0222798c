// Arrays in structures. A class of AssemblyScript has no field that is an array, so the array lies right behind the fields of
// the class that owns it, and whoever makes room for the one makes room for both (arena.ts: `arenaNewWithTail`).

/** Linear address of what lies behind the fields of `owner`. */
export function tailOf<T>(owner: T): usize {
  return changetype<usize>(owner) + offsetof<T>();
}

/** Element `index` of the array of E behind the fields of `owner`. Its caller knows how many there are. */
export function tailItem<T, E>(owner: T, index: u32): E {
  return changetype<E>(tailOf(owner) + <usize>index * offsetof<E>());
}

/** Link `index` of the array of pointers to E behind the fields of `owner`. */
export function tailLink<T, E>(owner: T, index: u32): E {
  return changetype<E>(load<usize>(tailOf(owner) + <usize>index * sizeof<usize>()));
}

export function setTailLink<T, E>(owner: T, index: u32, value: E): void {
  store<usize>(tailOf(owner) + <usize>index * sizeof<usize>(), changetype<usize>(value));
}
