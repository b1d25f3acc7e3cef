#include "shim.h"

#include <stddef.h>

#include <rte_cycles.h>
#include <rte_thash.h>

#define SAME_FIELD(ours, theirs)                                                                                       \
	_Static_assert(offsetof(struct sluice_mbuf, ours) == offsetof(struct rte_mbuf, theirs) &&                      \
			       sizeof(((struct sluice_mbuf *)0)->ours) == sizeof(((struct rte_mbuf *)0)->theirs),      \
		       "this DPDK has " #theirs " elsewhere in struct rte_mbuf: correct struct sluice_mbuf")

SAME_FIELD(buf_addr, buf_addr);
SAME_FIELD(data_off, data_off);
SAME_FIELD(refcnt, refcnt);
SAME_FIELD(nb_segs, nb_segs);
SAME_FIELD(port, port);
SAME_FIELD(ol_flags, ol_flags);
SAME_FIELD(packet_type, packet_type);
SAME_FIELD(pkt_len, pkt_len);
SAME_FIELD(data_len, data_len);
SAME_FIELD(vlan_tci, vlan_tci);
SAME_FIELD(rss_hash, hash.rss);
SAME_FIELD(vlan_tci_outer, vlan_tci_outer);
SAME_FIELD(buf_len, buf_len);

uint16_t sluice_rx_burst(uint16_t port, uint16_t queue, struct sluice_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, (struct rte_mbuf **)mbufs, count);
}

uint16_t sluice_tx_burst(uint16_t port, uint16_t queue, struct sluice_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, (struct rte_mbuf **)mbufs, count);
}

struct sluice_mbuf *sluice_mbuf_alloc(struct rte_mempool *pool)
{
	return (struct sluice_mbuf *)rte_pktmbuf_alloc(pool);
}

int sluice_mbuf_alloc_bulk(struct rte_mempool *pool, struct sluice_mbuf **mbufs, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, (struct rte_mbuf **)mbufs, count);
}

void sluice_mbuf_free(struct sluice_mbuf *mbuf)
{
	rte_pktmbuf_free((struct rte_mbuf *)mbuf);
}

void sluice_mbuf_free_bulk(struct sluice_mbuf **mbufs, unsigned int count)
{
	rte_pktmbuf_free_bulk((struct rte_mbuf **)mbufs, count);
}

int sluice_eth_link_get_nowait(uint16_t port, struct sluice_link *link)
{
	struct rte_eth_link theirs;
	int result = rte_eth_link_get_nowait(port, &theirs);

	if (result == 0) {
		link->speed = theirs.link_speed;
		link->up = theirs.link_status == RTE_ETH_LINK_UP;
		link->full_duplex = theirs.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
		link->autonegotiated = theirs.link_autoneg == RTE_ETH_LINK_AUTONEG;
	}
	return result;
}

void *sluice_memzone_address(const struct rte_memzone *zone)
{
	return zone->addr;
}

uint32_t sluice_mempool_object_size(const struct rte_mempool *pool)
{
	return pool->header_size + pool->elt_size + pool->trailer_size;
}

int sluice_errno(void)
{
	return rte_errno;
}

uint64_t sluice_tsc(void)
{
	return rte_get_tsc_cycles();
}

uint64_t sluice_tsc_hz(void)
{
	return rte_get_tsc_hz();
}

uint32_t sluice_softrss(uint32_t *tuple, uint32_t words, const uint8_t *key)
{
	return rte_softrss(tuple, words, key);
}
