// How a tenant fares, in a word, from a row of /api/v1/usage.

const NEAR = 0.8;

/** The part of the nearest limit that was used. */
export function used(row) {
  const ratios = Object.values(row.usage_ratio);
  return ratios.length ? Math.max(...ratios) : null;
}

/** The limit that is nearest, as [name, part]. */
export function nearest(row) {
  return Object.entries(row.usage_ratio).sort(([, left], [, right]) => right - left)[0] ?? null;
}

/** The part of the tokens that is left in the emptier bucket. */
export function tokensLeft(row) {
  const parts = [row.request, row.ingestion].filter((bucket) => bucket?.capacity > 0).map((bucket) => bucket.tokens / bucket.capacity);
  return parts.length ? Math.min(1, Math.max(0, Math.min(...parts))) : null;
}

/** The part of its pushes that was denied in the last 15 minutes. */
export function deniedPart(row) {
  const recent = row.quarter_hour;
  return recent && recent.requests > 0 ? recent.denied / recent.requests : null;
}

/** Denied pushes by reason, from counts of /api/v1/usage. */
export function byReason(counts) {
  const { over_request_rate: request, over_ingestion_rate: rate, over_ingestion_burst: burst } = counts;
  return { request_rate: request, ingestion_rate: rate, ingestion_burst: burst, other: Math.max(0, counts.denied - request - rate - burst) };
}

/** The reason of most denials of the last minute, or else of the last 15. */
export function mainReason(row) {
  const counts = row.minute?.denied > 0 ? row.minute : row.quarter_hour;
  if (!counts || counts.denied === 0) return null;
  return Object.entries(byReason(counts)).sort(([, left], [, right]) => right - left)[0][0];
}

/** `{ word, kind, refusing }`: kind is bad, warn, good or calm. */
export function stateOf(row) {
  if (!row.minute) return { word: 'No usage', kind: 'calm', refusing: false };
  const enforced = row.mode === 'enforce';
  if (row.minute.denied > 0) {
    return enforced ? { word: 'Refused', kind: 'bad', refusing: true } : { word: 'Would be refused', kind: 'warn', refusing: true };
  }
  if (row.quarter_hour.denied > 0) {
    return { word: enforced ? 'Was refused' : 'Would have been refused', kind: 'warn', refusing: false };
  }
  if (used(row) >= NEAR) return { word: 'Near limit', kind: 'warn', refusing: false };
  if (row.minute.requests === 0) return { word: 'Silent', kind: 'calm', refusing: false };
  return { word: 'Within limits', kind: 'good', refusing: false };
}

/** The CSS kind of a part of a limit. */
export function kindOfUse(part) {
  if (part > 1) return 'bad';
  return part >= NEAR ? 'warn' : 'good';
}
