#!/bin/sh
set -e
cd /var/www/html
role=${CONTAINER_ROLE:-app}
env=${APP_ENV:-production}

if [ "$env" != "local" ]; then
    echo "Caching configuration..."
    (php artisan config:cache && php artisan route:cache && php artisan view:cache)
fi
if [ "${RUN_MIGRATIONS:-true}" = "true" ]; then
    php artisan migrate --force
fi
if [ "$role" = "app" ]; then
    exec supervisord -n -c /etc/supervisor/supervisord.conf
elif [ "$role" = "queue" ]; then
    exec php artisan queue:work --verbose --tries=3 --timeout=90
elif [ "$role" = "scheduler" ]; then
    while [ true ]; do
        php artisan schedule:run --verbose --no-interaction &
        sleep 60
    done
else
    echo "Could not match the container role \"$role\""
    exit 1
fi
