./dpip addr add 192.168.88.12/24 dev dpdk0                    # Host IP address
./dpip addr add 192.168.88.100/32 dev dpdk0                   # VIP

./ipvsadm -A -t 192.168.88.100:80 -s mh
./ipvsadm -a -t 192.168.88.100:80 -r 192.168.88.15:80 -b      # FNAT mode
./ipvsadm -Pt 192.168.88.100:80 -z 192.168.88.241 -F dpdk0    # Local IP address
