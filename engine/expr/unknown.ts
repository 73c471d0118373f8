/**
 * Thrown when an expression really needs a value that does not exist yet: in plan mode, the output of a step that did not
 * run. `false && unknown` and `true || unknown` do not need it.
 */
export class UnknownValue extends Error {
  /** The path that was asked for: `steps.switch.output`. */
  readonly path: string;
  readonly why: string;

  constructor(path: string, why = "the step did not run") {
    super(`${path} is not known: ${why}`);
    this.name = "UnknownValue";
    this.path = path;
    this.why = why;
  }
}

const marked = new WeakMap<object, { path: string; why: string | undefined }>();

/** A stand-in for an output that does not exist: reading it, or anything in it, throws `UnknownValue`. */
export function unknownOutput(path: string, why?: string): object {
  const refuse = (): never => {
    throw new UnknownValue(path, why);
  };
  const marker = new Proxy(Object.create(null) as object, {
    get: refuse,
    has: refuse,
    ownKeys: refuse,
    getOwnPropertyDescriptor: refuse,
    getPrototypeOf: refuse,
  });
  marked.set(marker, { path, why });
  return marker;
}

/** Throws when `value` is such a stand-in; nothing else of it is touched. @throws UnknownValue */
export function assertKnown(value: object): void {
  const mark = marked.get(value);
  if (mark !== undefined) throw new UnknownValue(mark.path, mark.why);
}

/** True for such a stand-in. */
export function isUnknown(value: unknown): boolean {
  return marked.has(value as object);
}
