#!/usr/bin/env bash
set -Eeuo pipefail

if [[ "$1" == apache2* ]] || [ "$1" = 'php-fpm8.2' ]; then
	uid="$(id -u)"
	gid="$(id -g)"
	if [ "$uid" = '0' ]; then
		case "$1" in
			apache2*)
				user="${APACHE_RUN_USER:-www-data}"
				group="${APACHE_RUN_GROUP:-www-data}"
				pound='#'
				user="${user#$pound}"
				group="${group#$pound}"
				;;
			*)
				user='www-data'
				group='www-data'
				;;
		esac
	else
		user="$uid"
		group="$gid"
	fi
	if [ ! -e index.php ] && [ ! -e wp-includes/version.php ]; then
		if [ "$uid" = '0' ] && [ "$(stat -c '%u:%g' .)" = '0:0' ]; then
			chown "$user:$group" .
		fi
		if [ -n "$(find -mindepth 1 -maxdepth 1 -not -name wp-content)" ]; then
			echo >&2 "warning: $PWD is not empty"
		fi
		sourceTarArgs=(--create --file - --directory /usr/src/wordpress --owner "$user" --group "$group")
		targetTarArgs=(--extract --file -)
		if [ "$uid" != '0' ]; then
			targetTarArgs+=(--no-overwrite-dir)
		fi
		for contentPath in /usr/src/wordpress/.htaccess /usr/src/wordpress/wp-content/*/*/; do
			contentPath="${contentPath%/}"
			[ -e "$contentPath" ] || continue
			contentPath="${contentPath#/usr/src/wordpress/}"
			if [ -e "$PWD/$contentPath" ]; then
				sourceTarArgs+=(--exclude "./$contentPath")
			fi
		done
		tar "${sourceTarArgs[@]}" . | tar "${targetTarArgs[@]}"
	fi
	wpEnvs=("${!WORDPRESS_@}")
	if [ ! -s wp-config.php ] && [ "${#wpEnvs[@]}" -gt 0 ]; then
		for wpConfigDocker in wp-config-docker.php /usr/src/wordpress/wp-config-docker.php; do
			if [ -s "$wpConfigDocker" ]; then
				awk '/put your unique phrase here/ { cmd = "head -c1m /dev/urandom | sha1sum | cut -d\\  -f1"; cmd | getline str; close(cmd); gsub("put your unique phrase here", str) } { print }' "$wpConfigDocker" > wp-config.php
				break
			fi
		done
	fi
fi

exec "$@"
