/** Strongly connected components of a directed graph, successors first (Tarjan 1972, without recursion). */
export function components<N>(nodes: readonly N[], successors: (node: N) => readonly N[]): N[][] {
  const found: N[][] = [];
  const index = new Map<N, number>();
  const low = new Map<N, number>();
  const open = new Set<N>();
  const stack: N[] = [];
  const enter = (node: N) => {
    index.set(node, index.size);
    low.set(node, index.size - 1);
    stack.push(node);
    open.add(node);
    return { node, next: successors(node)[Symbol.iterator]() };
  };
  const lower = (node: N, value: number | undefined) =>
    low.set(node, Math.min(low.get(node) ?? Infinity, value ?? Infinity));
  for (const start of nodes) {
    if (index.has(start)) continue;
    const path = [enter(start)];
    for (let frame = path.at(-1); frame; frame = path.at(-1)) {
      const step = frame.next.next();
      if (!step.done) {
        if (!index.has(step.value)) path.push(enter(step.value));
        else if (open.has(step.value)) lower(frame.node, index.get(step.value));
        continue;
      }
      path.pop();
      const above = path.at(-1);
      if (above) lower(above.node, low.get(frame.node));
      if (low.get(frame.node) === index.get(frame.node)) {
        const members = stack.splice(stack.indexOf(frame.node));
        for (const member of members) open.delete(member);
        found.push(members);
      }
    }
  }
  return found;
}

/** Shortest way between two nodes of an undirected graph, both included; empty when there is none. */
export function shortestPath<N>(from: N, to: N, neighbours: (node: N) => Iterable<N>): N[] {
  const before = new Map<N, N | undefined>([[from, undefined]]);
  const queue = [from];
  for (let at = 0; at < queue.length; at++) {
    const node = queue[at] as N;
    if (node === to) {
      const path: N[] = [];
      for (let step: N | undefined = to; step !== undefined; step = before.get(step)) path.unshift(step);
      return path;
    }
    for (const next of neighbours(node)) {
      if (before.has(next)) continue;
      before.set(next, node);
      queue.push(next);
    }
  }
  return [];
}
