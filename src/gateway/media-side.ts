/** What media control and the media workers tell: streams that fail or fall silent, digits and faxes in them, lanes that come and go. */
import type { Millis } from '../machine/machine.ts';
import type { MediaOutput } from '../media/media-control.ts';
import type { PlaneEvent } from '../media/plane-contract.ts';
import type { CallId } from '../meta/message.ts';
import { releaseCall } from './calls.ts';
import type { GatewayState } from './state.ts';

/** What may stand in `user-input`. */
const META_DIGITS = '0123456789*#ABCD';

export function mediaOutput(gw: GatewayState, output: MediaOutput): void {
  switch (output.kind) {
    case 'command':
      gw.emit({ kind: 'plane', shard: output.shard, command: output.command });
      break;
    case 'failed': {
      const call = gw.calls.byCall(output.call);
      gw.log('error', 'media failed', { call: output.call, reason: output.reason });
      if (call !== undefined && call.overAt === undefined) releaseCall(gw, call, 47, 'own');
      break;
    }
    case 'digit': {
      const call = gw.calls.byCall(output.call);
      if (call === undefined || call.overAt !== undefined || !META_DIGITS.includes(output.digit)) break;
      if (!call.half.takesMediaDigit(gw.now)) {
        gw.count('mediaRefused', 'digit-rate');
        break;
      }
      const { digit, durationMs } = output;
      call.adapter.command({ kind: 'user-input', digit, durationMs: Math.min(8000, durationMs) }, gw.now);
      gw.dirty.add(call);
      break;
    }
    case 'silent':
      gw.count('mediaRefused', 'silent');
      gw.log('warn', 'no media although some is expected', { call: output.call, stream: output.index });
      break;
    case 'fax': {
      const call = gw.calls.byCall(output.call);
      if (call === undefined) break;
      gw.count('faxes', call.half.side);
      gw.log('info', 'fax', { call: output.call, peer: call.peer });
      break;
    }
    case 'silence':
      releaseSilent(gw, output.call, output.ms);
      break;
    case 'finished': {
      const call = gw.calls.byCall(output.call);
      if (call !== undefined) {
        call.mediaOver = true;
        gw.dirty.add(call);
      }
      break;
    }
  }
}

export function planeEvent(gw: GatewayState, shard: number, event: PlaneEvent): void {
  switch (event.kind) {
    case 'ready': {
      const { implementation, lanes } = event;
      gw.shards.set(shard, implementation);
      gw.log('info', 'media worker ready', { shard, implementation, lanes });
      break;
    }
    case 'shard-lost':
      gw.log('error', 'media worker lost', { shard, reason: event.reason });
      gw.count('tunnelEvents', 'shard-lost');
      break;
    case 'lane-up':
    case 'lane-down': {
      const link = [...gw.links.values()].find((l) => l.sessionId === event.session);
      const key = `${shard}/${event.lane}`;
      if (event.kind === 'lane-up') link?.lanes.add(key);
      else link?.lanes.delete(key);
      if (event.kind === 'lane-down')
        gw.log(event.reason.endsWith('replaced') ? 'info' : 'warn', 'media lane down', {
          lane: event.lane,
          reason: event.reason,
        });
      break;
    }
    case 'lane-refused':
      gw.count('laneRefused', event.reason);
      gw.log('warn', 'media connection refused', { remote: event.remote, reason: event.reason });
      break;
    default:
      break;
  }
  gw.media.event(event, gw.now, shard);
}

/** Q.850 102: recovery on timer expiry. Nobody has said why; 27 or 41 would blame a peer or a network that may be well. */
const SILENCE = 102;

/** A phone that is gone without a BYE, as far as media can tell. */
function releaseSilent(gw: GatewayState, id: CallId, ms: Millis): void {
  const call = gw.calls.byCall(id);
  if (call === undefined || call.overAt !== undefined) return;
  call.endReason = 'media-silence';
  gw.count('mediaRefused', 'silence-released');
  gw.log('warn', 'call released: no media either way', { call: id, seconds: Math.round(ms / 1000) });
  releaseCall(gw, call, SILENCE, 'own');
}
