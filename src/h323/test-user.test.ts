/** Not a test: a user of the endpoint as interworking would be one: opens, accepts, keeps book of its channels. */
import type { H323Event } from './contract.ts';
import type { FastStartChoice, H323Capabilities, H323Capability, H323Channel } from './media-contract.ts';
import type { Node } from './test-network.test.ts';
import { capabilities, media } from './test-network.test.ts';

export interface Book {
  send: H323Channel | undefined;
  receive: H323Channel | undefined;
  master: boolean | undefined;
  remote: H323Capabilities | undefined;
}

export class User {
  readonly node: Node;
  readonly caps: H323Capabilities;
  readonly books = new Map<number, Book>();
  /** What to do with incoming calls. */
  answer: 'connect' | 'alert' | 'nothing' = 'connect';
  takeFastStart = true;
  /** Accept a codec other than the one we send? */
  port = 20_000;

  constructor(node: Node, caps: H323Capabilities = capabilities('PCMA', 'PCMU')) {
    this.node = node;
    this.caps = caps;
    node.on = (event) => this.event(event);
  }

  book(call: number): Book {
    const book = this.books.get(call) ?? {
      send: undefined,
      receive: undefined,
      master: undefined,
      remote: undefined,
    };
    this.books.set(call, book);
    return book;
  }

  event(event: H323Event): void {
    const { node } = this;
    if (!('call' in event)) return;
    const { call } = event;
    const book = this.book(call);
    switch (event.kind) {
      case 'incoming': {
        node.command({ kind: 'capabilities', call, capabilities: this.caps });
        if (this.answer === 'nothing') return;
        const fastStart = this.takeFastStart ? this.choose(event.fastStart) : [];
        for (const choice of fastStart) {
          const offer = event.fastStart.find((o) => o.kind === choice.kind)!;
          const to = offer.send.find((s) => s.capability === choice.send);
          if (choice.send !== undefined)
            book.send = {
              kind: choice.kind,
              direction: 'send',
              capability: choice.send,
              remote: to!.remote,
            };
          if (choice.receive !== undefined)
            book.receive = { kind: choice.kind, direction: 'receive', capability: choice.receive };
        }
        node.command({ kind: 'alerting', call, inBand: false, fastStart });
        if (this.answer === 'connect') node.command({ kind: 'connect', call });
        return;
      }
      case 'fast-start-answered':
        for (const channel of event.channels) book[channel.direction] = channel;
        return;
      case 'capabilities':
        book.master = event.master;
        book.remote = event.capabilities;
        if (book.send === undefined) this.open(call, event.capabilities);
        return;
      case 'channel-asked':
        node.command({ kind: 'accept-channel', call, media: event.channel.kind, local: this.local() });
        book.receive = event.channel;
        return;
      case 'channel-opened':
        book.send = event.channel;
        return;
      case 'channel-closed':
        book[event.direction] = undefined;
        return;
      case 'released':
        book.send = undefined;
        book.receive = undefined;
        return;
      case 'mode-asked':
        node.command({ kind: 'answer-mode', call, accepted: true });
        return;
      default:
    }
  }

  local() {
    this.port += 2;
    return media(this.node, this.port);
  }

  open(call: number, remote: H323Capabilities): void {
    const capability = this.common(remote.media);
    if (capability !== undefined)
      this.node.command({ kind: 'open-channel', call, capability, local: this.local() });
  }

  common(theirs: readonly H323Capability[]): H323Capability | undefined {
    return this.caps.media.find((ours) => theirs.some((t) => t.codec === ours.codec));
  }

  choose(offers: Extract<H323Event, { kind: 'incoming' }>['fastStart']): FastStartChoice[] {
    const out: FastStartChoice[] = [];
    for (const offer of offers) {
      const knows = (c: H323Capability): boolean => this.caps.media.some((own) => own.codec === c.codec);
      const receive = offer.receive.find((o) => knows(o.capability))?.capability;
      const send = offer.send.find((o) => o.capability.codec === receive?.codec)?.capability;
      if (receive === undefined || send === undefined) continue;
      out.push({ kind: offer.kind, send, receive, local: this.local() });
    }
    return out;
  }
}
