package within

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
)

// Redirect leads connections that are made in this process's network elsewhere in it. It
// takes CAP_NET_ADMIN over the network, and is called once in each. Its error wraps the
// kernel's.
//
// A program that listens at a port of every address takes it from all: nobody else can
// listen there, and before it does nobody may. So what is to answer in its place listens
// at another port, and the kernel changes the port of what is sent there. The rules are
// given to it as netlink packets, because images have no tool that does.
func Redirect(all []shim.Redirect) error {
	var b rules
	b.add(unix.NFT_MSG_NEWTABLE, 0, text(unix.NFTA_TABLE_NAME, table))
	b.chain("lead", "nat", unix.NF_INET_LOCAL_OUT, natPriority)
	for _, r := range all {
		b.rule("lead",
			expression("meta", number(unix.NFTA_META_DREG, 1), number(unix.NFTA_META_KEY, unix.NFT_META_L4PROTO)), equals([]byte{unix.IPPROTO_TCP}),
			field(unix.NFT_PAYLOAD_NETWORK_HEADER, addrTo, 4), equals(r.From.Addr().AsSlice()),
			field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, portTo, 2), equals(binary.BigEndian.AppendUint16(nil, r.From.Port())),
			load(1, r.From.Addr().AsSlice()), load(2, binary.BigEndian.AppendUint16(nil, r.Port)),
			expression("nat", number(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT), number(unix.NFTA_NAT_FAMILY, unix.NFPROTO_IPV4),
				number(unix.NFTA_NAT_REG_ADDR_MIN, 1), number(unix.NFTA_NAT_REG_PROTO_MIN, 2)))
	}
	b.untracked(all)
	if err := b.apply(); err != nil {
		return fmt.Errorf("lead connections of a network elsewhere (nf_tables): %w", err)
	}
	return nil
}

// untracked keeps all else out of the table of connections, which is bounded, and drops
// packets when it is full: what the program does besides must not meet that.
func (b *rules) untracked(all []shim.Redirect) {
	var not []netip.Addr
	for _, r := range all {
		if !slices.Contains(not, r.From.Addr()) {
			not = append(not, r.From.Addr())
		}
	}
	not = append(not, resolver) // whose port Docker itself changes
	for chain, hook := range map[string]uint32{"out": unix.NF_INET_LOCAL_OUT, "in": unix.NF_INET_PRE_ROUTING} {
		b.chain(chain, "filter", hook, rawPriority)
		for _, addr := range not {
			for _, at := range []uint32{addrFrom, addrTo} {
				b.rule(chain, field(unix.NFT_PAYLOAD_NETWORK_HEADER, at, 4), equals(addr.AsSlice()),
					expression("immediate", number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT),
						nest(unix.NFTA_IMMEDIATE_DATA, nest(unix.NFTA_DATA_VERDICT, number(unix.NFTA_VERDICT_CODE, nfAccept)))))
			}
		}
		b.rule(chain, expression("notrack"))
	}
}

const (
	table = "titrate"
	// The kernel's own order of hooks: NF_IP_PRI_NAT_DST and NF_IP_PRI_RAW.
	natPriority, rawPriority = -100, -300
	nfAccept                 = 1
	// Where an IPv4 packet and a TCP header have what is looked at.
	addrFrom, addrTo, portTo = 12, 16, 2
)

// rules is a batch of changes to the rules of a network, which the kernel makes all or none.
type rules struct {
	packet   []byte
	sequence uint32
}

func (b *rules) chain(name, kind string, hook uint32, priority int32) {
	b.add(unix.NFT_MSG_NEWCHAIN, 0, text(unix.NFTA_CHAIN_TABLE, table), text(unix.NFTA_CHAIN_NAME, name), text(unix.NFTA_CHAIN_TYPE, kind),
		nest(unix.NFTA_CHAIN_HOOK, number(unix.NFTA_HOOK_HOOKNUM, hook), number(unix.NFTA_HOOK_PRIORITY, uint32(priority))))
}

func (b *rules) rule(chain string, expressions ...[]byte) {
	b.add(unix.NFT_MSG_NEWRULE, unix.NLM_F_APPEND, text(unix.NFTA_RULE_TABLE, table), text(unix.NFTA_RULE_CHAIN, chain), nest(unix.NFTA_RULE_EXPRESSIONS, expressions...))
}

func (b *rules) add(kind, flags uint16, attributes ...[]byte) {
	b.message(unix.NFNL_SUBSYS_NFTABLES<<8|kind, unix.NLM_F_CREATE|flags, unix.NFPROTO_IPV4, 0, attributes...)
}

func (b *rules) message(kind, flags uint16, family byte, resource uint16, attributes ...[]byte) {
	body := binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
	body = append(body, slices.Concat(attributes...)...)
	b.sequence++
	b.packet = binary.NativeEndian.AppendUint32(b.packet, uint32(unix.SizeofNlMsghdr+len(body)))
	b.packet = binary.NativeEndian.AppendUint16(b.packet, kind)
	b.packet = binary.NativeEndian.AppendUint16(b.packet, unix.NLM_F_REQUEST|flags)
	b.packet = binary.NativeEndian.AppendUint32(b.packet, b.sequence)
	b.packet = binary.NativeEndian.AppendUint32(b.packet, 0)
	b.packet = append(b.packet, body...) // attributes are padded, and so is the whole
}

// apply sends the batch, and says what the kernel says to it.
func (b *rules) apply() error {
	b.add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_ACK, text(unix.NFTA_TABLE_NAME, table)) // once more, for an answer when all is well
	changes := b.packet
	b.packet = nil
	b.message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	b.packet = append(b.packet, changes...)
	b.message(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// An app's names are few; a send buffer of the kernel's own size holds some hundred rules.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2*len(b.packet)) // at most what the machine lets
	if err := unix.Sendto(fd, b.packet, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 1<<16)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel gives an answer of another kind")
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

func attribute(kind uint16, value []byte) []byte {
	out := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	out = append(binary.NativeEndian.AppendUint16(out, kind), value...)
	return append(out, make([]byte, (4-len(out)%4)%4)...)
}

func text(kind uint16, s string) []byte { return attribute(kind, append([]byte(s), 0)) }

func number(kind uint16, n uint32) []byte {
	return attribute(kind, binary.BigEndian.AppendUint32(nil, n))
}

func nest(kind uint16, attributes ...[]byte) []byte {
	return attribute(kind|unix.NLA_F_NESTED, slices.Concat(attributes...))
}

// expression is a step of a rule.
func expression(name string, attributes ...[]byte) []byte {
	return nest(unix.NFTA_LIST_ELEM, text(unix.NFTA_EXPR_NAME, name), nest(unix.NFTA_EXPR_DATA, attributes...))
}

// field takes bytes of a packet into the first register.
func field(base, offset, length uint32) []byte {
	return expression("payload", number(unix.NFTA_PAYLOAD_DREG, 1), number(unix.NFTA_PAYLOAD_BASE, base), number(unix.NFTA_PAYLOAD_OFFSET, offset), number(unix.NFTA_PAYLOAD_LEN, length))
}

// equals ends a rule for packets of which the first register holds something else.
func equals(value []byte) []byte {
	return expression("cmp", number(unix.NFTA_CMP_SREG, 1), number(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ), nest(unix.NFTA_CMP_DATA, attribute(unix.NFTA_DATA_VALUE, value)))
}

// load puts a value into a register.
func load(register uint32, value []byte) []byte {
	return expression("immediate", number(unix.NFTA_IMMEDIATE_DREG, register), nest(unix.NFTA_IMMEDIATE_DATA, attribute(unix.NFTA_DATA_VALUE, value)))
}
