done_at offsite
