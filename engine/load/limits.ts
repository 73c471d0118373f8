/** The limits of a document; a file beyond any of these is hostile or a mistake, not a runbook. */
export const LIMITS = {
  bytes: 1024 * 1024,
  /** Maps and lists inside one another. */
  depth: 64,
  aliases: 32,
  /** Values in all, each alias counted as what it stands for. */
  nodes: 10_000,
  /** Lexical tokens: bounds time and memory of the parse itself (about 0.15 s, 60 MB). */
  tokens: 100_000,
  /** Faults reported of one document. */
  faults: 50,
  /** Documents that one document extends, one through the other. */
  chain: 8,
  layerFiles: 5_000,
  layerDepth: 8,
} as const;
