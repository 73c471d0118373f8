/** A pattern that is not RE2's syntax, or is too large. */
export class RegexError extends Error {}
