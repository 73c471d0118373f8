/** What the scheduler of a node remembers of each schedule, in a file beside it. */
import type { Entry, Kept, Missed } from "./keeper.ts";

export interface Memory {
  /** All times up to here were run or missed. */
  seen: string;
  began_at: string | null;
  ended_at: string | null;
  exit_code: number | null;
  said: Kept["said"];
  missed: Missed | null;
}

export const entryFile = (name: string): string => `${name}.schedule`;
export const memoryFile = (name: string): string => `${name}.memory`;

export function keptOf(name: string, entry: Entry | null, memory: Memory | null): Kept {
  return {
    name,
    entry,
    ranAt: memory?.began_at == null ? null : new Date(memory.began_at),
    said: memory?.said ?? null,
    missed: memory?.missed ?? null,
  };
}
