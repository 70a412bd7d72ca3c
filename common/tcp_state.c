#include "common/tcp_state.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define CLOSE_WAIT 8 /* TCP_CLOSE_WAIT of libc's netinet/tcp.h */

int
tcp_state(int fd, uint64_t *ret_received, bool *ret_half_closed)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	*ret_received = info.tcpi_bytes_received;
	*ret_half_closed = info.tcpi_state == CLOSE_WAIT;
	return 0;
}
