// A treap (a search tree balanced by random priorities): insert with rotations, look up, in-order sum.
@unmanaged
class Node {
  left: usize;
  right: usize;
  key: u32;
  priority: u32;
  value: u64;
}

const POOL: usize = 0x100000;
const NODES: u32 = 1 << 14;
let next: usize = POOL;
let root: usize = 0;
let state: u32 = 1;

function node(p: usize): Node {
  return changetype<Node>(p);
}

function random(): u32 {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

function create(key: u32, value: u64): usize {
  const p = next;
  next += offsetof<Node>();
  node(p).left = 0;
  node(p).right = 0;
  node(p).key = key;
  node(p).priority = random();
  node(p).value = value;
  return p;
}

function rotateRight(p: usize): usize {
  const l = node(p).left;
  node(p).left = node(l).right;
  node(l).right = p;
  return l;
}

function rotateLeft(p: usize): usize {
  const r = node(p).right;
  node(p).right = node(r).left;
  node(r).left = p;
  return r;
}

function insert(p: usize, key: u32, value: u64): usize {
  if (!p) return create(key, value);
  if (key == node(p).key) {
    node(p).value += value;
    return p;
  }
  if (key < node(p).key) {
    node(p).left = insert(node(p).left, key, value);
    if (node(node(p).left).priority > node(p).priority) return rotateRight(p);
  } else {
    node(p).right = insert(node(p).right, key, value);
    if (node(node(p).right).priority > node(p).priority) return rotateLeft(p);
  }
  return p;
}

function find(key: u32): u64 {
  let p = root;
  while (p) {
    const k = node(p).key;
    if (k == key) return node(p).value;
    p = key < k ? node(p).left : node(p).right;
  }
  return 0;
}

function sum(p: usize, depth: u32): u64 {
  if (!p) return 0;
  return sum(node(p).left, depth + 1) * 3 + node(p).value + depth + sum(node(p).right, depth + 1);
}

export function run(n: i32): u64 {
  let acc: u64 = 0;
  for (let r = 0; r < n; r++) {
    next = POOL;
    root = 0;
    state = 2463534242 + r;
    for (let i: u32 = 0; i < 4000; i++) root = insert(root, random() & (NODES - 1), i);
    for (let i: u32 = 0; i < 20000; i++) acc += find(random() & (NODES - 1));
    acc ^= sum(root, 0);
  }
  return acc;
}
