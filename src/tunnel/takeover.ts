/**
 * Who may have the site's session. The TLS certificate proved the site; two processes may still hold it (a restart whose
 * old connection lives on, a copied key). A claim is honoured where no session is held, where it proves the session's
 * secret on this very connection, or where its boot id is newer; everything else is refused and rings the alarm.
 */
import type { Crypto } from '../machine/machine.ts';
import type { CloseReason } from './close-reason.ts';
import type { Hello } from './hello.ts';
import { resumeProof } from './session-keys.ts';
import type { SessionState } from './session-state.ts';

export type Verdict =
  | { readonly kind: 'new'; readonly alarm?: string }
  | { readonly kind: 'resume'; readonly received: number }
  | { readonly kind: 'refuse'; readonly reason: CloseReason; readonly alarm?: string };

export interface Situation {
  readonly held: SessionState | undefined;
  readonly exporter: Uint8Array;
  /** The held session's connection has been heard from lately. */
  readonly live: boolean;
  /** Takes one token of the limit on take-overs by boot id. */
  mayTakeOver(): boolean;
}

export function judgeClaim(crypto: Crypto, hello: Hello, situation: Situation): Verdict {
  const { held, exporter } = situation;
  if (held === undefined) return { kind: 'new' };
  const { claim, intent, boot } = hello;
  const sameBoot = boot.startedAt === held.peerBoot.startedAt && boot.nonce === held.peerBoot.nonce;
  if (sameBoot) {
    if (claim === undefined || intent === 'new' || claim.session !== held.id) {
      return refused('session-held', 'second connection without the resume secret');
    }
    const proof = resumeProof(crypto, held.keys.resume, {
      speaker: 'dialer',
      intent,
      exporter,
      received: claim.received,
    });
    if (!crypto.equal(proof, claim.proof)) return refused('proof', 'wrong resume proof');
    if (intent === 'replace') return { kind: 'new' };
    if (claim.received > held.outbox.last) return { kind: 'refuse', reason: 'resume-range' };
    return { kind: 'resume', received: claim.received };
  }
  if (boot.startedAt <= held.peerBoot.startedAt) {
    return refused('boot-id-older', 'claims alternate: an older process of the site is back');
  }
  if (!situation.mayTakeOver()) return refused('takeover-rate', 'claims alternate: too many take-overs');
  if (situation.live) return { kind: 'new', alarm: 'a newer process took over from one that was alive' };
  return { kind: 'new' };
}

function refused(reason: CloseReason, alarm: string): Verdict {
  return { kind: 'refuse', reason, alarm };
}
