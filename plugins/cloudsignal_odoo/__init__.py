"""Odoo 17, 18 and 19: notes, activities, tracking numbers and deliveries on sales orders. See README.md."""

from cloudsignal_odoo.sink import OdooSink

__all__ = ["OdooSink"]
