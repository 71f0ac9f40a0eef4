/** One call at a simulated H.323 endpoint: what its events have made of it. */
import type { H323Event, H323Party } from '../../src/h323/contract.ts';
import type { H323Channel } from '../../src/h323/media-contract.ts';

export class H323SimCall {
  readonly ref: number;
  readonly number: string;
  readonly direction: 'in' | 'out';
  readonly caller: H323Party | undefined;
  state: 'calling' | 'proceeding' | 'alerting' | 'connected' | 'ended' = 'calling';
  readonly seen: string[] = [];
  inBand = false;
  digits = '';
  endCause = 0;
  endedBy = '';
  /** As it stands. */
  send: H323Channel | undefined;
  receive: H323Channel | undefined;
  videoSend: H323Channel | undefined;
  videoReceive: H323Channel | undefined;
  videoOpening = false;
  faxSend: H323Channel | undefined;
  faxReceive: H323Channel | undefined;
  /** Answers to our RequestModes. */
  modes: boolean[] = [];
  /** What we send now, or are about to. */
  faxing = false;
  /** We may not send. */
  held = false;
  offers: Extract<H323Event, { kind: 'incoming' }>['fastStart'] = [];
  fast: 'none' | 'offered' | 'taken' | 'refused' = 'none';
  openedBy = 0;

  constructor(of: Pick<H323SimCall, 'ref' | 'number' | 'direction' | 'caller'>) {
    this.ref = of.ref;
    this.number = of.number;
    this.direction = of.direction;
    this.caller = of.caller;
  }

  hear(event: H323Event): void {
    this.seen.push(event.kind);
    switch (event.kind) {
      case 'proceeding':
        this.state = 'proceeding';
        break;
      case 'alerting':
        this.state = 'alerting';
        this.inBand ||= event.inBand;
        break;
      case 'progress':
        this.inBand ||= event.inBand;
        break;
      case 'connected':
        this.state = 'connected';
        break;
      case 'fast-start-answered':
        this.fast = 'taken';
        for (const c of event.channels) this.open(c);
        this.faxing = event.channels.some((c) => c.kind === 'image');
        break;
      case 'fast-start-refused':
        this.fast = 'refused';
        break;
      case 'channel-opened':
        this.open(event.channel);
        break;
      case 'channel-closed':
        this.#set(event.media, event.direction, undefined);
        break;
      case 'far-hold':
        this.held = true;
        break;
      case 'far-retrieve':
        this.held = false;
        break;
      case 'user-input':
        this.digits += event.digit;
        break;
      case 'released':
        this.state = 'ended';
        this.endCause = event.cause;
        this.endedBy = event.by;
        break;
      default:
        break;
    }
  }

  open(channel: H323Channel): void {
    if (channel.kind === 'video') this.videoOpening = false;
    this.#set(channel.kind, channel.direction, channel);
  }

  #set(kind: H323Channel['kind'], direction: 'send' | 'receive', channel: H323Channel | undefined): void {
    const slots = {
      audio: { send: 'send', receive: 'receive' },
      video: { send: 'videoSend', receive: 'videoReceive' },
      image: { send: 'faxSend', receive: 'faxReceive' },
    } as const;
    this[slots[kind][direction]] = channel;
  }
}
