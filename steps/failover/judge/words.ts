export function seconds(value: number): string {
  return `${value >= 10 ? Math.round(value) : value.toFixed(1)} s`;
}

/** `1 slot`, `2 slots`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

export function list(names: readonly string[]): string {
  return names.join(", ");
}
