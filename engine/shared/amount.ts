/** A number with its noun: `1 row`, `2 rows`. `shown` is the number as it is written, where that is not plain. */
export function amount(n: number, one: string, many = `${one}s`, shown = String(n)): string {
  return `${shown} ${n === 1 ? one : many}`;
}
