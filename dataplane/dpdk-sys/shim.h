/*
 * What DPDK offers only as static inline functions, macros or structures whose layout changes between versions, as
 * plain functions, constants and structures. A call moves a whole burst; nothing here decides anything.
 */
#ifndef SLUICE_SHIM_H
#define SLUICE_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_memzone.h>

/*
 * The start of struct rte_mbuf, so that Rust reads and writes it without a call. shim.c asserts that every field is
 * where the DPDK it is compiled against has it.
 */
struct sluice_mbuf {
	uint8_t *buf_addr;
	uint64_t buf_iova;
	uint16_t data_off;
	uint16_t refcnt;
	uint16_t nb_segs;
	uint16_t port;
	uint64_t ol_flags;
	uint32_t packet_type;
	uint32_t pkt_len;
	uint16_t data_len;
	uint16_t vlan_tci;
	uint32_t rss_hash;
	uint32_t hash_high;
	uint16_t vlan_tci_outer;
	uint16_t buf_len;
};

/* The bit fields of struct rte_eth_link, apart. */
struct sluice_link {
	uint32_t speed;
	bool up;
	bool full_duplex;
	bool autonegotiated;
};

/* Macros that bindgen cannot evaluate, being expressions of other macros or of casts. */
static const uint64_t SLUICE_RX_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;
static const uint64_t SLUICE_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH;
static const uint64_t SLUICE_RX_IP_CKSUM_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t SLUICE_RX_IP_CKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t SLUICE_RX_IP_CKSUM_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t SLUICE_TX_OFFLOAD_MBUF_FAST_FREE = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
static const uint64_t SLUICE_RSS_IP_TCP_UDP = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
static const uint32_t SLUICE_LINK_SPEED_UNKNOWN = RTE_ETH_SPEED_NUM_UNKNOWN;

uint16_t sluice_rx_burst(uint16_t port, uint16_t queue, struct sluice_mbuf **mbufs, uint16_t count);
uint16_t sluice_tx_burst(uint16_t port, uint16_t queue, struct sluice_mbuf **mbufs, uint16_t count);

struct sluice_mbuf *sluice_mbuf_alloc(struct rte_mempool *pool);
int sluice_mbuf_alloc_bulk(struct rte_mempool *pool, struct sluice_mbuf **mbufs, unsigned int count);
void sluice_mbuf_free(struct sluice_mbuf *mbuf);
void sluice_mbuf_free_bulk(struct sluice_mbuf **mbufs, unsigned int count);

int sluice_eth_link_get_nowait(uint16_t port, struct sluice_link *link);
void *sluice_memzone_address(const struct rte_memzone *zone);
uint32_t sluice_mempool_object_size(const struct rte_mempool *pool);
int sluice_errno(void);
uint64_t sluice_tsc(void);
uint64_t sluice_tsc_hz(void);
uint32_t sluice_softrss(uint32_t *tuple, uint32_t words, const uint8_t *key);

#endif
