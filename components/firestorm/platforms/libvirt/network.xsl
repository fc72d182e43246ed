<?xml version="1.0"?>
<!-- The labels of a network, applied to the XML that the provider generates.
     https://libvirt.org/formatnetwork.html#general-metadata -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output omit-xml-declaration="yes" indent="yes"/>
  <xsl:template match="node()|@*">
    <xsl:copy><xsl:apply-templates select="node()|@*"/></xsl:copy>
  </xsl:template>

  <xsl:template match="/network">
    <xsl:copy>
      <xsl:apply-templates select="node()|@*"/>
      @metadata@
    </xsl:copy>
  </xsl:template>
</xsl:stylesheet>
