import { lsnText } from "./lsn.ts";
/** The facts that pg_control holds of a data directory, also of one without a running server. */
export interface ControlState {
  /** The `system_identifier`. */
  system_identifier: string;
  /** `pg_control_version`: 1300, 1700, 1800. */
  version: number;
  /** In pg_controldata's words. */
  state: string;
  /** Where the last checkpoint record begins; of a server that was shut down, its shutdown checkpoint. */
  checkpoint: string;
  /** The timeline of the last checkpoint. */
  timeline: number;
}

/** `DBState`, in the order of pg_control.h, in the words of pg_controldata. */
const STATES = [
  "starting up",
  "shut down",
  "shut down in recovery",
  "shutting down",
  "in crash recovery",
  "in archive recovery",
  "in production",
];
/** Versions of the file whose beginning was checked: PostgreSQL 13 to 18 (`ControlFileData` and `CheckPoint`, pg_control.h). */
const VERSIONS = [1300, 1700, 1800];
const AT = { identifier: 0, version: 8, state: 16, checkpoint: 32, timeline: 48 };
const CONTROL_BYTES = 52;

/** Null for a file of another kind. Numbers are written as the server's machine does, which the version tells. Pure. */
export function readControlState(file: Buffer): ControlState | null {
  if (file.length < CONTROL_BYTES) return null;
  for (const isLittle of [true, false]) {
    const int = (at: number) => (isLittle ? file.readUInt32LE(at) : file.readUInt32BE(at));
    const long = (at: number) => (isLittle ? file.readBigUInt64LE(at) : file.readBigUInt64BE(at));
    if (!VERSIONS.includes(int(AT.version))) continue;
    return {
      system_identifier: String(long(AT.identifier)),
      version: int(AT.version),
      state: STATES[int(AT.state)] ?? "unknown",
      checkpoint: lsnText(long(AT.checkpoint)),
      timeline: int(AT.timeline),
    };
  }
  return null;
}
