/** Constants of rtnetlink(7), by their names in the kernel's uapi headers without the prefix. */

/** nlmsghdr.nlmsg_type, from linux/netlink.h and linux/rtnetlink.h. */
export const MESSAGE = {
  NOOP: 1,
  ERROR: 2,
  DONE: 3,
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWQDISC: 36,
  DELQDISC: 37,
  GETQDISC: 38,
  NEWTFILTER: 44,
  DELTFILTER: 45,
  GETTFILTER: 46,
} as const;

/** NLM_F_*: nlmsghdr.nlmsg_flags, from linux/netlink.h. */
export const FLAG = {
  REQUEST: 0x1,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
  REPLACE: 0x100,
  EXCL: 0x200,
  DUMP: 0x300,
  CREATE: 0x400,
  APPEND: 0x800,
} as const;

/** Address families, from bits/socket.h. */
export const AF = { UNSPEC: 0, INET: 2, NETLINK: 16, INET6: 10 } as const;

/** IFF_*: flags of a link, from linux/if.h. */
export const IFF = { UP: 0x1, LOOPBACK: 0x8, POINTOPOINT: 0x10, LOWER_UP: 0x10000 } as const;

/** IFLA_*: attributes of a link, from linux/if_link.h. */
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  LINKINFO: 18,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  PERM_ADDRESS: 54,
} as const;
export const IFLA_INFO_KIND = 1;

/** IFA_*: attributes of an address, and IFA_F_* flags, from linux/if_addr.h. */
export const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4, FLAGS: 8 } as const;
export const IFA_F = {
  TEMPORARY: 0x01,
  NODAD: 0x02,
  PERMANENT: 0x80,
  NOPREFIXROUTE: 0x200,
} as const;

/** RTA_* and rtmsg values, from linux/rtnetlink.h. */
export const RTA = {
  DST: 1,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  TABLE: 15,
} as const;
export const RTAX_MTU = 2;
export const RT_TABLE_MAIN = 254;
export const RTN_UNICAST = 1;
export const RTPROT = { KERNEL: 2, BOOT: 3, STATIC: 4, RA: 9 } as const;
export const RT_SCOPE = { UNIVERSE: 0, LINK: 253 } as const;
export const RTNH_F_ONLINK = 4;

/** NDA_* and NUD_* of neighbours, from linux/neighbour.h. */
export const NDA = { DST: 1, LLADDR: 2 } as const;
export const NUD_PERMANENT = 0x80;

/** Traffic control, from linux/pkt_sched.h, pkt_cls.h and tc_act/tc_mirred.h. */
export const TCA = { KIND: 1, OPTIONS: 2, STATS2: 7 } as const;
export const TC_H = { INGRESS: 0xfffffff1, INGRESS_HANDLE: 0xffff0000 } as const;
export const TCA_U32 = { SEL: 5, ACT: 7 } as const;
export const TC_U32_TERMINAL = 1;
export const TCA_ACT = { KIND: 1, OPTIONS: 2 } as const;
export const TCA_MIRRED_PARMS = 2;
export const TCA_EGRESS_REDIR = 1;
export const TC_ACT_STOLEN = 4;
export const TCA_BPF = { OPS_LEN: 4, OPS: 5, FLAGS: 8 } as const;
export const TCA_BPF_FLAG_ACT_DIRECT = 1;
/** Statistics of a qdisc, from linux/gen_stats.h. */
export const TCA_STATS_QUEUE = 3;
export const ETH_P_ALL = 3;

/** Attributes of NETLINK_EXT_ACK, from linux/netlink.h. */
export const NLMSGERR_ATTR_MSG = 1;
/** Flag of an attribute's type: it contains attributes. Few places in the kernel require it. */
export const NLA_F_NESTED = 0x8000;
