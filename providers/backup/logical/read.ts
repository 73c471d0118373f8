import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Repository } from "../../repository/contract.ts";
import { backupPrefix, type ClusterKey } from "../../repository/layout.ts";
import type { Part } from "../record.ts";
import { counted, heard } from "./output.ts";
import { assertRan, type Programs } from "./programs.ts";
import { RowCounter, type TableRows } from "./rows.ts";

/** What is wrong with a part. */
export interface Damage {
  part: string;
  why: string;
}

/**
 * Reads a part back and through: every stored byte against its sum, and a dump through pg_restore, which writes all that it finds in it as text. The
 * text is counted and thrown away.
 */
export async function readPart(
  programs: Programs,
  at: { repository: Repository; key: ClusterKey; id: string; signal: AbortSignal },
  part: Part,
  onBytes: (bytes: number) => void = () => {},
): Promise<{ damage: Damage | null; rows: TableRows[] }> {
  const name = `${backupPrefix(at.key, at.id)}${part.name}`;
  const source = await at.repository.read(name, { signal: at.signal });
  const damaged = (why: string) => ({ damage: { part: part.name, why }, rows: [] });
  if (source === null) return damaged("it is gone");
  const { stream, count } = counted(source);
  const rows = new RowCounter();
  let read: Awaited<ReturnType<Programs["run"]>> | null = null;
  if (part.kind === "dump") {
    const argv = [join(programs.folder, "pg_restore"), "--data-only", "--file=-"];
    const told = heard(stream, onBytes);
    const options = { stdin: told.stream, onStdout: (bytes: Uint8Array) => rows.add(bytes) };
    read = await programs.run(argv, options).catch((error: unknown) => {
      told.close();
      throw error;
    });
    if (told.failed() !== undefined) throw told.failed();
  }
  // pg_restore stops at the end of what it needs.
  for await (const bytes of stream) onBytes(bytes.length);
  if (count.bytes !== part.stored_bytes)
    return damaged(`it has ${count.bytes} bytes, and had ${part.stored_bytes} when it was made`);
  if (count.sha256() !== part.sha256) return damaged("its bytes are not those that were stored");
  if (read !== null && read.exit_code !== 0) {
    try {
      assertRan("pg_restore", read, "");
    } catch (error) {
      return damaged((error as Error).message);
    }
  }
  return { damage: null, rows: rows.tables };
}

/** @throws PgdbaError step_failed */
export function assertWhole(id: string, damages: readonly Damage[]): void {
  if (damages.length === 0) return;
  throw new PgdbaError(
    "step_failed",
    `${id} is damaged: ${damages.map(({ part, why }) => `${part}: ${why}`).join("; ")}`,
    { hint: "Take another one. The damage is on record, and no retention counts on this one." },
  );
}
