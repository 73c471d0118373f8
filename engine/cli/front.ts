import type { Readable, Writable } from "node:stream";
import type { IndexFile } from "../load/library.ts";
import type { Parsed } from "../load/parsed.ts";
import type { Secrets } from "../secrets.ts";
import type { Stop } from "../run/stop.ts";
import type {
  Clock,
  Hazard,
  JsonObject,
  JsonSchema,
  LockWord,
  ParamSpec,
  Risk,
  StepRegistry,
  Target,
} from "../types.ts";

export type Environment = Readonly<Record<string, string | undefined>>;
export type TtyWritable = Writable & { isTTY?: boolean | undefined; columns?: number | undefined };

/** The stream for the envelope, and nothing else. */
export interface Output {
  isTTY?: boolean | undefined;
  columns?: number | undefined;
  write(text: string, done: () => void): void;
  onError(listener: () => void): void;
}

/** The part of a built-in document that `list` and `help` show without loading it; made by `generate.ts`. */
export interface IndexedRunbook {
  summary: string;
  description?: string;
  tags?: string[];
  part?: boolean;
  watches?: boolean;
  risk: Risk;
  hazards: Hazard[];
  needs: string[];
  gives: string[];
  locks: LockWord[];
  /** As declared, for help and completion. */
  specs: Record<string, ParamSpec>;
  /** The same as one JSON Schema, for callers. */
  params: JsonObject;
  output: JsonObject;
}

export interface BuiltinIndex extends IndexFile {
  documents: Record<string, { kind: string; file: string; runbook?: IndexedRunbook }>;
}

/** The request by which the composition root turns flags and environment into a target. */
export interface TargetRequest {
  flags: TargetFlags;
  env: Environment;
  stateDir: string;
  onSecret(value: string): void;
  log(message: string): void;
  /** True for a run that goes on. */
  resumes: boolean;
  /** True for a run that works on databases by their names: see `namesDatabase`. */
  anyDatabase: boolean;
  /** True for a run that may take the only registered cluster, when nobody names a target. */
  assumes: boolean;
}

export interface TargetFlags {
  cluster?: string;
  host?: string;
  port?: string;
  user?: string;
  database?: string;
}

/** Everything of the outside that the front door hands in. */
export interface Front {
  argv: string[];
  env: Environment;
  cwd: string;
  home: string;
  stdin: Readable & { isTTY?: boolean | undefined };
  stdout: Output;
  stderr: TtyWritable;
  clock: Clock;
  stop: Stop;
  secrets: Secrets;
  packageDir: string;
  /** The words by which this program is started, before its arguments. */
  self: readonly string[];
  version: string;
  registry: StepRegistry;
  builtinIndex(): BuiltinIndex;
  /** The built-in documents that the build has parsed; only a bundle has them. */
  builtinParsed?(): Parsed;
  resolveTarget(request: TargetRequest): Promise<Target>;
  clusterNames(stateDir: string): Promise<string[]>;
  /** The members that the registry knows: of a cluster, or of all. */
  memberNames(stateDir: string, cluster?: string): Promise<string[]>;
  /** The schema of a cluster's file. */
  clusterSchema(): Promise<JsonSchema>;
  /** Reads a cluster's file as a run would; no variable is looked at. @throws PgdbaError what is wrong with it */
  readCluster(name: string, file: string): Promise<void>;
}
