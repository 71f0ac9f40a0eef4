/** The video line of a simulated SIP phone's descriptions, built and read by hand. */
export type PictureCodec = 'H264' | 'H263';

export interface HeardPictures {
  readonly port: number;
  readonly types: readonly string[];
  readonly rtpmap: ReadonlyMap<string, string>;
  readonly direction: string;
}

/** The video line of a description; undefined: it has none. */
export function describePictures(sdp: string): HeardPictures | undefined {
  const section = sdp.split(/(?=^m=)/m).find((part) => part.startsWith('m=video'));
  if (section === undefined) return undefined;
  const line = /^m=video (\d+) \S+ ([\d ]+)\r?$/m.exec(section);
  return {
    port: Number(line?.[1] ?? 0),
    types: (line?.[2] ?? '').trim().split(' '),
    rtpmap: new Map(
      [...section.matchAll(/^a=rtpmap:(\d+) (\w+)\//gm)].map((m) => [m[1]!, m[2]!.toUpperCase()] as const),
    ),
    direction: /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(section)?.[1] ?? 'sendrecv',
  };
}

/** Our line: an offer where nothing was heard; else an answer, refused (port 0) where the codec is not among what was offered. */
export function pictureLine(
  codec: PictureCodec | undefined,
  port: number,
  direction: string,
  heard: HeardPictures | undefined,
): string {
  const own = codec === 'H263' ? '34' : '97';
  const named = [...(heard?.rtpmap ?? [])].find(([, name]) => name === codec)?.[0];
  const type =
    heard === undefined ? own : (named ?? (heard.types.includes(own) && own === '34' ? own : undefined));
  if (codec === undefined || type === undefined || heard?.port === 0)
    return `m=video 0 RTP/AVP ${heard?.types[0] ?? own}\r\n`;
  const lines = [
    `m=video ${port} RTP/AVP ${type}`,
    `a=rtpmap:${type} ${codec}/90000`,
    ...(codec === 'H264' ? [`a=fmtp:${type} profile-level-id=42801f;packetization-mode=1`] : []),
    `a=${direction}`,
  ];
  return `${lines.join('\r\n')}\r\n`;
}
