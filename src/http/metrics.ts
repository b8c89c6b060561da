/** What the HTTP server counts. */
export interface HttpMetrics {
  /** One answer; `route` is the pattern and never the path itself, which holds ids. */
  answered(route: string, status: number, seconds: number): void
  /** Values of posted events that looked like a secret and were replaced by a hash. */
  secretReplaced(count: number): void
}
